"""Products derived from published tiles: cells, HGT, web terrain, derived rasters."""
