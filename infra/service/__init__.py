"""The service: OGC API - Processes for orders, map tiles, files, and the map page."""
