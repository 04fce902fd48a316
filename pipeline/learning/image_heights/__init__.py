"""Heights by ordinal regression: from one image, or from a DSM to the terrain.

Li, Wang and Fang, Height estimation from single aerial images using a deep ordinal regression network, 2020.
"""
