"""Training and evaluation of bare-earth networks."""
