"""From EPSG:3035 to a source's own horizontal CRS, by one operation pinned when the job is planned.

PROJ picks the best operation it can run, silently a worse one where a grid lacks. So the choice is made once, recorded
with its accuracy, hashed into the run key, and a worker that cannot run exactly this operation refuses.
"""

from __future__ import annotations

import os
import warnings
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyproj.datadir
import pyproj.network
from pyproj import CRS, Transformer
from pyproj.aoi import AreaOfInterest
from pyproj.exceptions import ProjError
from pyproj.transformer import TransformerGroup

from pipeline.errors import GridMissing, SourceGridError
from pipeline.grid import TILE_CRS
from pipeline.sources import HorizontalOperation, Source

Float64Array = npt.NDArray[np.float64]


def use_grids(grids_dir: Path) -> None:
    """Let PROJ find horizontal grids in this folder and in no other but its own; network off.

    A folder given before is forgotten, and with it every operation that was chosen or opened with it: what a process
    did earlier must not show in what it does now.
    """
    pyproj.network.set_network_enabled(active=False)  # type: ignore[attr-defined]  # exported at run time only
    present = pyproj.datadir.get_data_dir()
    own = present.split(os.pathsep)[0]
    wanted = os.pathsep.join([own, str(grids_dir.absolute())]) if grids_dir.is_dir() else own
    if wanted != present:
        pyproj.datadir.set_data_dir(wanted)
        _pin.cache_clear()
        _transformer.cache_clear()


def transform(
    operation: HorizontalOperation, east_m: Float64Array, north_m: Float64Array
) -> tuple[Float64Array, Float64Array]:
    """Coordinates in the source's CRS (x, y or longitude, latitude); NaN where the operation is not defined.

    Raises:
        GridMissing: the operation's grid is not on this machine.
    """
    x, y = _transformer(operation.definition).transform(east_m, north_m)
    return np.where(np.isfinite(x), x, np.nan), np.where(np.isfinite(y), y, np.nan)


def pin_operation(source: Source, tile_bounds_deg: tuple[float, float, float, float]) -> HorizontalOperation:
    """Choose the operation for a source: over its whole area where that is stated, so that all tiles agree.

    Raises:
        SourceGridError: only a ballpark transformation is known.
    """
    whole_world = source.area_deg == (-180.0, -90.0, 180.0, 90.0)
    west, south, east, north = tile_bounds_deg if whole_world else source.area_deg
    return _pin(source.horizontal_crs, (west, south, east, north), source.id)


@lru_cache(maxsize=512)
def _pin(crs: str, area: tuple[float, float, float, float], source_id: str) -> HorizontalOperation:
    with warnings.catch_warnings():
        # PROJ warns of a missing grid; we say it ourselves, in the operation's record.
        warnings.simplefilter("ignore", UserWarning)
        group = TransformerGroup(
            CRS.from_user_input(TILE_CRS),
            CRS.from_user_input(crs),
            always_xy=True,
            allow_ballpark=False,
            area_of_interest=AreaOfInterest(*area),  # type: ignore[arg-type]  # pyproj's own stub names its C twin
        )
    if not group.transformers:
        raise SourceGridError(
            f"no operation from {TILE_CRS} to {crs} that is more than a ballpark",
            source=source_id,
            remedy="fetch its grids (orograph grids fetch), or reproject the source with your own",
        )
    best = group.transformers[0]
    accuracy = best.accuracy if best.accuracy is not None and best.accuracy >= 0 else None
    better = None
    if not group.best_available and group.unavailable_operations:
        lacking = group.unavailable_operations[0]
        grids = ", ".join(grid.short_name for grid in lacking.grids)
        better = f"{lacking.name} ({lacking.accuracy} m) needs {grids}"
    return HorizontalOperation(
        definition=best.definition, description=best.description, accuracy_m=accuracy, better=better
    )


@lru_cache(maxsize=64)
def _transformer(definition: str) -> Transformer:
    try:
        return Transformer.from_pipeline(definition)
    except ProjError as error:
        raise GridMissing(
            f"the pinned horizontal operation cannot run here: {error}",
            remedy="give the worker the grids the planner had (orograph grids fetch)",
        ) from error
