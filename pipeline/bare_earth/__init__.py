"""Removes vegetation and buildings from DSMs."""
