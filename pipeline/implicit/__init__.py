"""Terrain as a continuous function: cubic B-spline lattices, their sparse codes, and small networks.

A fitted model answers height, slope, aspect and curvature at any coordinate and renders any grid without the raster it
was fitted to. The lattice is the workhorse: closed form, twice differentiable, local, so neighbours can share
coefficients and meet without a seam.
"""
