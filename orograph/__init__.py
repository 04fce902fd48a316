"""Orograph: one seamless, harmonised European terrain model from open elevation data."""
