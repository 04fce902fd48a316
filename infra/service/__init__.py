"""The service: an OGC API - Processes front to the engine, previews, files, and the page people look at."""
