"""Linear super-resolution for a given sensor: a Wiener filter adapted to the local relief and noise."""
