"""Terrain as a continuous function: cubic B-spline lattices, their sparse codes, and small networks.

A fitted model gives height, slope, aspect and curvature at any coordinate, and renders any grid without the original
raster. The lattice is the default: closed form, twice differentiable and local, so neighbours can share coefficients
and join without a seam.
"""
