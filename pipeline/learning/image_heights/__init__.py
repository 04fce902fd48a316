"""Heights by ordinal regression: from one image, and from a surface to the bare earth below it.

Li, Wang and Fang, Height estimation from single aerial images using a deep ordinal regression network, 2020.
"""
