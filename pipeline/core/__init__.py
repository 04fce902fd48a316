"""Nouns and tools of every stage: grids, rasters, pixel sizes, hashing, timing."""
