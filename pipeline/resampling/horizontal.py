"""Transforms EPSG:3035 to a source's horizontal CRS by an operation pinned at planning.

PROJ chooses the best operation it can run, and silently a worse one if a grid is missing. The planner therefore chooses
once, records the accuracy, and hashes the operation and the SHA-256 of every grid into the run key. A worker that
cannot run exactly this operation with exactly these grids raises an error.
"""

from __future__ import annotations

import os
import re
import warnings
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyproj.datadir
import pyproj.network
from pyproj import CRS, Transformer
from pyproj.aoi import AreaOfInterest
from pyproj.exceptions import ProjError
from pyproj.transformer import TransformerGroup

from orograph.pipeline.core.grid import TILE_CRS
from orograph.pipeline.core.hashing import file_sha256
from orograph.pipeline.errors import GridCorrupt, GridMissing, SourceGridError
from orograph.pipeline.sources.catalogue import Source
from orograph.pipeline.sources.refs import HorizontalOperation

Float64Array = npt.NDArray[np.float64]

_ETRS89_TO_WGS84_DEG: Final = (-16.1, 33.26, 40.18, 84.73)
"""Area of use of EPSG:1149, ETRS89 to WGS 84 (1): west, south, east, north."""
_GRIDS: Final = re.compile(r"\bgrids=(\S+)")


def use_grids(grids_dir: Path) -> None:
    """Let PROJ read horizontal grids from this folder and its own folder only; network off.

    A previous folder and all operations chosen or opened with it are discarded, so that earlier work in the process
    does not affect later results.
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
        GridCorrupt: the grid's SHA-256 differs from the pinned one.
    """
    for name, sha256 in operation.grids.items():
        _check(name, sha256)
    x, y = _transformer(operation.definition, tuple(operation.grids.values())).transform(east_m, north_m)
    return np.where(np.isfinite(x), x, np.nan), np.where(np.isfinite(y), y, np.nan)


def inverse(operation: HorizontalOperation, x: Float64Array, y: Float64Array) -> tuple[Float64Array, Float64Array]:
    """East and north of EPSG:3035 for coordinates in the source's CRS; NaN and errors as `transform`."""
    for name, sha256 in operation.grids.items():
        _check(name, sha256)
    there = _transformer(operation.definition, tuple(operation.grids.values()))
    east, north = there.transform(x, y, direction="INVERSE")
    return np.where(np.isfinite(east), east, np.nan), np.where(np.isfinite(north), north, np.nan)


def pin_operation(source: Source, tile_bounds_deg: tuple[float, float, float, float]) -> HorizontalOperation:
    """Choose the operation for a source, over its whole area if declared, so that all tiles agree.

    Raises:
        SourceGridError: only a ballpark transformation is known.
    """
    whole_world = source.area_deg == (-180.0, -90.0, 180.0, 90.0)
    west, south, east, north = tile_bounds_deg if whole_world else source.area_deg
    chosen = _pin(source.horizontal_crs, (west, south, east, north), source.id)
    # Checked on each call: a grid may be replaced during the life of this process.
    grids = {name: file_sha256(path) for name in _grid_names(chosen.definition) if (path := _find(name))}
    return chosen.model_copy(update={"grids": grids})


@lru_cache(maxsize=512)
def _pin(crs: str, area: tuple[float, float, float, float], source_id: str) -> HorizontalOperation:
    with warnings.catch_warnings():
        # PROJ warns of a missing grid; the operation's record reports it instead.
        warnings.simplefilter("ignore", UserWarning)
        group = TransformerGroup(
            CRS.from_user_input(TILE_CRS),
            CRS.from_user_input(crs),
            always_xy=True,
            allow_ballpark=False,
            area_of_interest=AreaOfInterest(*area),  # type: ignore[arg-type]  # pyproj's own stub names its C twin
        )
    if not group.transformers:
        if _is_inside(area, _ETRS89_TO_WGS84_DEG):
            raise _only_ballpark(crs, source_id)
        return _through_wgs84(crs, area, source_id)
    # PROJ also searches a per-user folder, which other workers do not have.
    at_hand = [found for found in group.transformers if all(map(_find, _grid_names(found.definition)))]
    if not at_hand:
        raise _only_ballpark(crs, source_id)
    best = at_hand[0]
    accuracy = best.accuracy if best.accuracy is not None and best.accuracy >= 0 else None
    better = None
    if best is not group.transformers[0]:
        skipped = group.transformers[0]
        better = f"{skipped.description} ({skipped.accuracy} m) needs {', '.join(_grid_names(skipped.definition))}"
    elif not group.best_available and group.unavailable_operations:
        unavailable = group.unavailable_operations[0]
        grids = ", ".join(grid.short_name for grid in unavailable.grids)
        better = f"{unavailable.name} ({unavailable.accuracy} m) needs {grids}"
    return HorizontalOperation(
        definition=best.definition, description=best.description, accuracy_m=accuracy, better=better
    )


def _through_wgs84(crs: str, area: tuple[float, float, float, float], source_id: str) -> HorizontalOperation:
    """The operation where ETRS89 has no area of use: Iceland, the Azores, Madeira, the Canaries, eastern Turkey.

    The registered operation from ETRS89 to WGS 84 is the identity with an accuracy of 1 m and an area of use that ends
    at 16.1 W and 40.18 E; it is applied beyond it, and the national operation from WGS 84, if there is one, within its
    own area.

    Raises:
        SourceGridError: no operation leads from WGS 84 to the CRS in this area.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        national = TransformerGroup(
            CRS.from_epsg(4326),
            CRS.from_user_input(crs),
            always_xy=True,
            allow_ballpark=False,
            area_of_interest=AreaOfInterest(*area),  # type: ignore[arg-type]  # pyproj's own stub names its C twin
        )
        tiles = TransformerGroup(CRS.from_user_input(TILE_CRS), CRS.from_epsg(4258), always_xy=True)
    at_hand = [found for found in national.transformers if all(map(_find, _grid_names(found.definition)))]
    if not at_hand:
        raise _only_ballpark(crs, source_id)
    first, second = tiles.transformers[0], at_hand[0]
    steps = [_steps(found.definition) for found in (first, second)]
    further = second.accuracy if second.accuracy is not None and second.accuracy >= 0 else 0.0
    return HorizontalOperation(
        definition=" ".join(["proj=pipeline", *filter(None, steps)]),
        description=f"{first.description} + ETRS89 taken as WGS 84 (1 m) + {second.description}",
        accuracy_m=1.0 + further,
        better=None,
    )


def _is_inside(area: tuple[float, float, float, float], box: tuple[float, float, float, float]) -> bool:
    return box[0] <= area[0] and box[1] <= area[1] and area[2] <= box[2] and area[3] <= box[3]


def _steps(definition: str) -> str:
    """The steps of a PROJ definition, to be joined to others; empty for a no-op."""
    text = definition.strip()
    if text.startswith("proj=pipeline"):
        return text.removeprefix("proj=pipeline").strip()
    return "" if text.startswith("proj=noop") else f"step {text}"


@lru_cache(maxsize=64)
def _transformer(definition: str, digests: tuple[str, ...]) -> Transformer:
    del digests  # part of the key: PROJ caches grids by path, and the file may have been replaced
    try:
        return Transformer.from_pipeline(_GRIDS.sub(_with_paths, definition))
    except ProjError as error:
        raise GridMissing(f"the pinned horizontal operation cannot run here: {error}", remedy=_REMEDY) from error


_REMEDY: Final = "give the worker the grids the planner had, in the folder of --grids-dir"


def _check(name: str, sha256: str) -> None:
    path = _find(name)
    if path is None:
        raise GridMissing(f"horizontal grid {name} is not on this machine", remedy=_REMEDY)
    digest = file_sha256(path)
    if digest != sha256:
        raise GridCorrupt(
            f"horizontal grid {name} has sha256 {digest[:16]}..., the job was planned with {sha256[:16]}...",
            remedy=_REMEDY + ", or plan again",
        )


def _grid_names(definition: str) -> list[str]:
    """The grids an operation cannot do without, in order; those marked optional (`@`) count where they are at hand."""
    names = [name for listed in _GRIDS.findall(definition) for name in listed.strip('"').split(",")]
    needed = [name.removeprefix("@") for name in names if not name.startswith("@") or _find(name[1:])]
    return [name for name in dict.fromkeys(needed) if name != "null"]


def _find(name: str) -> Path | None:
    """A grid in PROJ's own folder or the one of `use_grids`, in this order; None where it is in neither."""
    folders = pyproj.datadir.get_data_dir().split(os.pathsep)
    return next((path for folder in folders if (path := Path(folder, name)).is_file()), None)


def _with_paths(listed: re.Match[str]) -> str:
    """A `grids=` entry that names files, so that PROJ need not look for them; optional ones that are not here go."""
    found = []
    for name in listed[1].strip('"').split(","):
        path = _find(name.removeprefix("@"))
        if path is not None or not name.startswith("@"):
            found.append(str(path or name))
    return f'grids="{",".join(found) or "null"}"'


def _only_ballpark(crs: str, source_id: str) -> SourceGridError:
    return SourceGridError(
        f"no operation from {TILE_CRS} to {crs} that is more than a ballpark",
        source=source_id,
        remedy="put its grids into the folder of --grids-dir, or reproject the source with your own",
    )
