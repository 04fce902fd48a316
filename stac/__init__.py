"""The published catalogue: STAC items, collections, search, verification."""
