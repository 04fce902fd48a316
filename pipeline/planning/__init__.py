"""Which tiles an area needs and which files each tile reads."""
