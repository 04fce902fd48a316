"""The demo world: a made terrain across a real border, seen by three made sources, so that every claim can be checked."""
