"""Which surface heights describe: bare earth, or everything that stands on it."""

from enum import StrEnum


class Surface(StrEnum):
    """What the heights are heights of."""

    DTM = "DTM"
    """Bare earth."""
    DSM = "DSM"
    """The upper surface, with canopy and buildings."""
