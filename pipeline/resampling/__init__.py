"""Horizontal operations and the one kernel that interpolates a height."""
