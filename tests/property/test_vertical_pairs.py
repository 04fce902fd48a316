"""Every pair of frames, with grids there, lacking one at a time, and lacking all: the pinned result or its refusal.

The oracle computes from the catalogue's numbers and the grids' pixels alone, without PROJ.
"""

from __future__ import annotations

import itertools
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import rasterio
from pyproj import Transformer
from pyproj.enums import TransformDirection

from orograph.pipeline.errors import EpochMissing, GridMissing, NoVerticalOperation
from orograph.pipeline.vertical import Operation, VerticalCatalogue
from orograph.pipeline.vertical.entries import OperationMethod

CATALOGUE = VerticalCatalogue.load()
PAIRS = [pair for pair in itertools.product(CATALOGUE.frames, repeat=2) if pair[0] != pair[1]]
EPOCH = 2015.0


def attempt(pair: tuple[str, str], folder: Path) -> Operation | Exception:
    try:
        return CATALOGUE.operation(*pair, grids_dir=folder, epoch=EPOCH)
    except (NoVerticalOperation, GridMissing) as error:
        return error


def grid_value(path: str, lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
    transform, values = read_grid(path)
    column, row = (lon - transform.c) / transform.a - 0.5, (lat - transform.f) / transform.e - 0.5
    i, j = np.floor(row).astype(int), np.floor(column).astype(int)
    i, j = np.clip(i, 0, values.shape[0] - 2), np.clip(j, 0, values.shape[1] - 2)
    v, u = row - i, column - j
    return (
        values[i, j] * (1 - v) * (1 - u)
        + values[i, j + 1] * (1 - v) * u
        + values[i + 1, j] * v * (1 - u)
        + values[i + 1, j + 1] * v * u
    )


def to_mgi(lon: np.ndarray, lat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    registry = Transformer.from_pipeline("urn:ogc:def:coordinateOperation:EPSG::1618")
    old_lat, old_lon = registry.transform(lat, lon, direction=TransformDirection.INVERSE)
    return old_lon, old_lat


@lru_cache(maxsize=64)
def read_grid(path: str):
    with rasterio.open(path) as file:
        return file.transform, file.read(1, masked=True).astype(float).filled(np.nan)


def plane_value(plane, lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
    """EPSG Guidance Note 7-2, method 1046."""
    a, e2, second = 6378137.0, 0.00669438002290, np.pi / 180 / 3600
    sin2 = np.sin(np.radians(plane.lat_0_deg)) ** 2
    rho, nu = a * (1 - e2) / (1 - e2 * sin2) ** 1.5, a / np.sqrt(1 - e2 * sin2)
    north = plane.slope_lat_arcsec * second * rho * np.radians(lat - plane.lat_0_deg)
    east = plane.slope_lon_arcsec * second * nu * np.radians(lon - plane.lon_0_deg) * np.cos(np.radians(lat))
    return plane.offset_m + north + east


def oracle(operation: Operation, lon: np.ndarray, lat: np.ndarray) -> np.ndarray | None:
    total = np.zeros(lon.shape)
    for step in operation.steps:
        if step.id.startswith("opendem/"):
            value = np.full(lon.shape, float(step.proj.partition("+dh=")[2]))
        else:
            entry = next(entry for entry in CATALOGUE.operations if entry.id == step.id)
            if entry.method is OperationMethod.HELMERT:
                return None
            if entry.method is OperationMethod.CONSTANT:
                value = np.full(lon.shape, entry.offset_m)
            elif entry.method is OperationMethod.SLOPE:
                value = plane_value(entry.plane, lon, lat)
            else:
                place = to_mgi(lon, lat) if entry.interpolation else (lon, lat)
                value = grid_value(step.grid.path, *place) * (-1 if entry.method is OperationMethod.RELATIONSHIP else 1)
        total += -value if step.inverse else value
    return total


@pytest.fixture(scope="module")
def grids(shared) -> Path:
    return shared("proj-grids")


@pytest.fixture(scope="module")
def complete(grids) -> dict[tuple[str, str], Operation | Exception]:
    return {pair: attempt(pair, grids) for pair in PAIRS}


def test_every_pair_gives_the_pinned_shift_or_refuses(complete):
    moved = 0
    random = np.random.default_rng(5)
    for pair, operation in complete.items():
        if isinstance(operation, Exception):
            lacking = CATALOGUE.needed_grids(*pair)
            if isinstance(operation, GridMissing):
                assert any(name in str(operation) for name in lacking), pair
            else:
                assert pair[0] in str(operation), pair
                assert pair[1] in str(operation), pair
            continue
        assert operation.steps, f"{pair} is a silent no-op"
        assert operation.accuracy_m > 0, pair
        area = operation.area
        lon, lat = random.uniform(area.west, area.east, 12), random.uniform(area.south, area.north, 12)
        shifts = operation.shift(lon, lat)
        expected = oracle(operation, lon, lat)
        if expected is not None:
            known = np.isfinite(expected) & np.isfinite(shifts)
            np.testing.assert_allclose(shifts[known], expected[known], atol=1e-3, err_msg=str(pair))
        moved += 1
    assert moved > 500


def test_no_pinned_way_passes_a_third_nations_frame(complete):
    for pair, operation in complete.items():
        if isinstance(operation, Operation):
            nations = {country for frame in pair for country in CATALOGUE.frames[frame].countries}
            for step in operation.steps:
                entry = next((entry for entry in CATALOGUE.operations if entry.id == step.id), None)
                if entry is not None:
                    passed = set(CATALOGUE.frames[entry.frame_from].countries)
                    passed |= set(CATALOGUE.frames[entry.frame_to].countries)
                    assert passed <= nations, (pair, step.id)


@pytest.mark.parametrize("removed", sorted(CATALOGUE.grids))
def test_without_one_grid_its_pairs_refuse_and_no_other_changes(removed, complete, grids, tmp_path):
    for name in CATALOGUE.grids:
        if name != removed and (grids / name).exists():
            (tmp_path / name).symlink_to(grids / name)
    spared = 0
    for pair, before in complete.items():
        if not isinstance(before, Operation):
            continue
        if removed in {grid.name for grid in before.grids}:
            with pytest.raises(GridMissing, match=removed):
                CATALOGUE.operation(*pair, grids_dir=tmp_path, epoch=EPOCH)
        elif spared < 40:
            spared += 1
            after = CATALOGUE.operation(*pair, grids_dir=tmp_path, epoch=EPOCH)
            assert after.labels == before.labels
            assert after.id == before.id


def test_without_any_grid_only_what_needs_none_is_left(complete, tmp_path):
    for pair, before in complete.items():
        after = attempt(pair, tmp_path)
        if isinstance(before, Operation) and not before.grids:
            assert isinstance(after, Operation), pair
            assert after.labels == before.labels
        elif isinstance(before, Operation):
            assert isinstance(after, GridMissing), pair
            assert any(grid.name in str(after) for grid in before.grids)
        else:
            assert isinstance(after, NoVerticalOperation | GridMissing), pair


def test_dynamic_frames_never_go_without_an_epoch(grids):
    for pair in PAIRS:
        if any(CATALOGUE.frames[frame].dynamic for frame in pair):
            with pytest.raises(EpochMissing, match="epoch"):
                CATALOGUE.operation(*pair, grids_dir=grids)
