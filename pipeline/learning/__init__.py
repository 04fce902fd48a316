"""Training and evaluation of all models; a tile never imports it."""
