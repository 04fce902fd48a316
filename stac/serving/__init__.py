"""The STAC API, search and files over HTTP."""
