"""Training and evaluation of super-resolution networks."""
