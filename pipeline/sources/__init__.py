"""Where heights come from: catalogue, headers, reading, nodata, land cover."""
