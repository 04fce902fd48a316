"""Planning: the tiles of an area and the files that each tile reads."""
