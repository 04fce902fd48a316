"""Vertical datums: heights are transformed by pinned operations only, each identified by code or by grid and SHA-256.

PROJ evaluates the steps and never chooses them. Its own choice is a silent no-op if a grid is missing, and jumps by
decimetres inside a tile where it chains through a neighbouring country's datum. "Frame" in code means vertical datum.

Which target works over a whole area of several nations? `EPSG:5621` (EVRF2007) from EGM2008 (`EPSG:3855`) and EGM96
(`EPSG:5773`) by one labelled constant without any grid, e.g. for the HGT cells N43E006 and N43E007 in Provence and
Liguria; so do `EPSG:4937` (the ETRS89 ellipsoid, with `us_nga_egm96_15.tif`), `EPSG:5720` (NGF-IGN69, with
`fr_ign_RAF20.tif` as well, up to 8.23 E) and EGM96 itself, an identity. From a national frame the target is EVRF2007
within that nation's area; several sources, each by its own operation, meet there.
"""

from orograph.pipeline.core.network_adjustment import Adjustment, AdjustmentFile
from orograph.pipeline.vertical.catalogue import VerticalCatalogue
from orograph.pipeline.vertical.crs import compound_crs
from orograph.pipeline.vertical.grids import GridFile, GridState, grid_states, verified
from orograph.pipeline.vertical.operation import Area, Operation, Step
from orograph.pipeline.vertical.surface import DeltaSurface, delta_surface

__all__ = [
    "Adjustment",
    "AdjustmentFile",
    "Area",
    "DeltaSurface",
    "GridFile",
    "GridState",
    "Operation",
    "Step",
    "VerticalCatalogue",
    "compound_crs",
    "delta_surface",
    "grid_states",
    "verified",
]
