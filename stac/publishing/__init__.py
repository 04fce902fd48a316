"""Publishes manifests as items and keeps the catalogue current."""
