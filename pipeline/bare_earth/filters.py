"""Names of the bare-earth methods without trained weights."""

from __future__ import annotations

from typing import Final

OPENING: Final = "opening"
"""Progressive morphological filter, for fine DSMs."""
EDGES: Final = "edges"
"""Steps along the edges of mapped woods, for coarse DSMs with a land-cover map."""
FUSION: Final = "fusion"
"""The level of a bare-earth terrain model under canopy, with or without a map; steps along edges as well with one."""
FILTERS: Final = (OPENING, EDGES, FUSION)

EDGES_SIZES_M: Final = (15.0, 60.0)
"""Pixel sizes of `edges` and `fusion`: finer DSMs show trees one by one, coarser ones no edges."""
OPENING_SIZES_M: Final = (0.5, 5.0)
