"""A run from plan to published tiles."""
