"""Earlier attempts at super-resolution of terrain, as peers behind the same signature."""
