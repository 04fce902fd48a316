"""One tile from its sources to its products."""
