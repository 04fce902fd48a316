"""STAC documents as pure functions of manifests."""
