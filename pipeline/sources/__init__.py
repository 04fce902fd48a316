"""Sources of heights: catalogue, headers, reading, nodata, land cover."""
