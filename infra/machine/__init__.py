"""This machine: checks, grids, buckets."""
