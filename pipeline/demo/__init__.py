"""The demo world: synthetic terrain across a real border, seen by three synthetic sources, to verify results."""
