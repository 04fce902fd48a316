"""Source objects on servers: identity, byte ranges, listing; a cache per node, and sparse local copies."""
