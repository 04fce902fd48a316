"""Grid files: found by name in one folder, trusted by SHA-256 only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import rasterio

from orograph.pipeline.core.hashing import file_sha256
from orograph.pipeline.errors import GridCorrupt, GridMissing
from orograph.pipeline.vertical.entries import GridEntry

_UNSAFE_IN_PROJ = frozenset(',"\n')


@dataclass(frozen=True, slots=True)
class GridFile:
    """A grid on this machine and its expected SHA-256.

    Attributes:
        name: File name, as PROJ-data gives it; the user's own grids keep theirs.
        path: Absolute path.
        sha256: Hexadecimal digest of the whole file.
    """

    name: str
    path: str
    sha256: str

    def __post_init__(self) -> None:
        if not Path(self.path).is_absolute():
            raise GridMissing(f"grid path {self.path!r} is not absolute")
        if _UNSAFE_IN_PROJ & set(self.path):
            raise GridMissing(
                f"grid path {self.path!r} contains a comma, quote or line break, which PROJ cannot read",
                remedy="move the grids to another folder",
            )


def verified(grid: GridFile) -> GridFile:
    """The grid, after its bytes are verified; hashed once per process and file state.

    Raises:
        GridMissing: there is no file at the path.
        GridCorrupt: the SHA-256 differs.
    """
    path = Path(grid.path)
    try:
        digest = file_sha256(path)
    except OSError as error:
        raise GridMissing(
            f"grid {grid.name} is not at {path.parent}",
            remedy=f"run `orograph grids fetch {grid.name}`, or name the folder that has it with --grids-dir",
        ) from error
    if digest != grid.sha256:
        raise GridCorrupt(
            f"grid {grid.name} at {path.parent} has sha256 {digest[:16]}..., pinned is {grid.sha256[:16]}...",
            remedy=f"remove it and run `orograph grids fetch {grid.name}`",
        )
    return grid


@dataclass(frozen=True, slots=True, eq=False)
class WholeCells:
    """Marks the cells of a grid whose four corners all have a value.

    Next to voids PROJ averages the remaining corners, which is an extrapolation with steps of centimetres at the
    cell's sides; such cells count as void here.

    Attributes:
        west, north: Centre of the north-west node, degrees.
        step_lon, step_lat: Distance of nodes eastwards and southwards, degrees.
        whole: Shape (rows - 1, columns - 1).
    """

    west: float
    north: float
    step_lon: float
    step_lat: float
    whole: npt.NDArray[np.bool_]

    def hold(self, lon_deg: npt.NDArray[np.float64], lat_deg: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        """True in whole cells; also outside the grid, where PROJ itself returns no value."""
        column = np.clip(np.floor((lon_deg - self.west) / self.step_lon), 0, self.whole.shape[1] - 1)
        row = np.clip(np.floor((self.north - lat_deg) / self.step_lat), 0, self.whole.shape[0] - 1)
        held: npt.NDArray[np.bool_] = self.whole[row.astype(np.intp), column.astype(np.intp)]
        return held


def whole_cells(grid: GridFile) -> WholeCells | None:
    """Cells in which a verified grid may be interpolated; None if the grid has no voids."""
    return _whole_cells(grid.path, grid.sha256)


@lru_cache(maxsize=64)
def _whole_cells(path: str, sha256: str) -> WholeCells | None:
    del sha256  # part of the key: another file at the path is another grid
    with rasterio.open(path) as dataset:
        known = dataset.read_masks(1) > 0
        values = dataset.read(1)
        affine = dataset.transform
    known &= np.isfinite(values)
    if known.all() or min(known.shape) < 2:
        return None
    whole = known[:-1, :-1] & known[1:, :-1] & known[:-1, 1:] & known[1:, 1:]
    return WholeCells(affine.c + affine.a / 2, affine.f + affine.e / 2, affine.a, -affine.e, whole)


@dataclass(frozen=True, slots=True)
class GridState:
    """Whether a grid of the catalogue is installed: `ok`, `missing`, or `corrupt` if its SHA-256 differs."""

    name: str
    state: Literal["ok", "missing", "corrupt"]


def grid_states(grids: Mapping[str, GridEntry], folder: Path) -> tuple[GridState, ...]:
    """The state of each grid of a catalogue in a folder, in the catalogue's order; every present file is hashed."""
    states = []
    for name, entry in grids.items():
        try:
            verified(GridFile(name, str((folder / name).absolute()), entry.sha256))
        except GridMissing:
            states.append(GridState(name, "missing"))
        except GridCorrupt:
            states.append(GridState(name, "corrupt"))
        else:
            states.append(GridState(name, "ok"))
    return tuple(states)
