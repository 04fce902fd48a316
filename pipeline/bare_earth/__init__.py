"""Removes vegetation and buildings from surface models."""
