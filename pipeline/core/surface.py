"""Kind of elevation model: DTM (bare earth) or DSM (with canopy and buildings)."""

from enum import StrEnum


class Surface(StrEnum):
    """Kind of elevation model."""

    DTM = "DTM"
    """Bare earth."""
    DSM = "DSM"
    """DSM, with canopy and buildings."""
