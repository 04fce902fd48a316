"""Horizontal operations and the interpolation kernel for heights."""
