"""The figures of docs/benchmarks/index.md on vertical frames: `pytest tests/bench/test_vertical_bench.py -m bench -s`."""

from __future__ import annotations

import contextlib
import csv
import time
from pathlib import Path

import numpy as np
import pytest
from pyproj import Transformer
from pyproj.transformer import AreaOfInterest, TransformerGroup

from orograph.pipeline.core.grid import Tile, windows
from orograph.pipeline.errors import VerticalError
from orograph.pipeline.vertical import VerticalCatalogue, delta_surface
from tests.bench.results import record

pytestmark = pytest.mark.bench
CATALOGUE = VerticalCatalogue.load()
POINTS = Path(__file__).parents[1] / "data/opendem_border_points.csv"
# Places along the two borders where both nations' grids reach, from the Vaals tripoint on; NRW's part of NL/DE.
NL_DE = [
    (6.02, 50.76),
    (6.08, 51.2),
    (6.2, 51.4),
    (5.96, 51.75),
    (6.4, 51.83),
    (6.75, 51.9),
    (6.83, 52.0),
    (7.06, 52.25),
]
BE_NL = [(3.4, 51.37), (3.9, 51.2), (4.3, 51.37), (4.8, 51.45), (5.1, 51.4), (5.6, 51.2), (5.8, 51.15), (5.7, 50.8)]


def printed(border: str) -> np.ndarray:
    """OpenDEM Europe's printed heights, first and second column, metres."""
    with POINTS.open() as file:
        rows = [row for row in csv.DictReader(file) if row["border"] == border]
    return np.array([[float(row["first_m"]), float(row["second_m"])] for row in rows])


def replaced(border, places, first, second, constants_m, grids, target):
    """The printed differences with OpenDEM's constants taken off and our operations put on, averaged over the border."""
    lon, lat = np.array(places).T
    ours = [
        float(np.mean(CATALOGUE.operation(frame, target, grids_dir=grids).shift(lon, lat))) for frame in (first, second)
    ]
    heights = printed(border)
    return (heights[:, 0] - constants_m[0] + ours[0]) - (heights[:, 1] - constants_m[1] + ours[1])


@pytest.mark.parametrize("target", ["EPSG:5709", "EPSG:5621"])
def test_opendems_borders(shared, target):
    grids = shared("proj-grids")
    nl_de = replaced("NL/DE", NL_DE, "EPSG:7837", "EPSG:5709", (0.01, -0.01), grids, target)
    be_nl = replaced("BE/NL", BE_NL, "EPSG:5710", "EPSG:5709", (-2.31, -0.01), grids, target)
    was = [np.subtract(*printed(border).T) for border in ("NL/DE", "BE/NL")]
    good = np.abs(was[1]) < 0.5
    print(f"\n{target}")
    print(f"NL/DE bias {was[0].mean() * 100:+.2f} -> {nl_de.mean() * 100:+.2f} cm")
    print(f"BE/NL bias without outlier {was[1][good].mean() * 100:+.2f} -> {be_nl[good].mean() * 100:+.2f} cm")
    print(f"NL/DE mean |d| {np.abs(was[0]).mean():.4f} -> {np.abs(nl_de).mean():.4f} m")
    print(f"BE/NL mean |d| {np.abs(was[1]).mean():.4f} -> {np.abs(be_nl).mean():.4f} m")
    if target == "EPSG:5621":
        biases = [[100 * values.mean() for values in pair] for pair in ((nl_de, be_nl[good]), (was[0], was[1][good]))]
        ours, peer = (", ".join(f"{value:+.2f} cm" for value in pair) for pair in biases)
        record("vertical-frames", "border-bias", ours=ours, peer=f"{peer}, OpenDEM Europe")
    if target == "EPSG:5709":
        assert abs(nl_de.mean()) <= 0.015
        assert abs(be_nl[good].mean()) <= 0.015
        assert np.abs(nl_de).mean() <= 0.075
        assert np.abs(be_nl).mean() <= 0.095


def test_no_step_inside_a_tile(shared):
    lon = np.linspace(7.0, 7.4, 4001)
    lat = np.full(lon.shape, 50.8)
    ours = CATALOGUE.operation("EPSG:7837", "EPSG:5621", grids_dir=shared("proj-grids")).shift(lon, lat)
    old = CATALOGUE.operation("EPSG:7837", "EPSG:5730", grids_dir=shared("proj-grids")).shift(lon, lat)
    print(f"\nlargest step every 7 m along 50.8 N: {np.abs(np.diff(ours)).max() * 100:.6f} cm to EVRF2007,")
    print(f"{np.abs(np.diff(old)).max() * 100:.6f} cm to EVRF2000")
    assert np.abs(np.diff(ours)).max() < 1e-6
    assert np.abs(np.diff(old)).max() < 1e-6


def test_silent_no_ops_of_proj_beside_ours(tmp_path):
    """How many of our pairs PROJ answers with an unchanged height when no grid is there."""
    pairs = moved = silent = unchanged = 0
    for frame in CATALOGUE.frames:
        for target in ("EPSG:5621", "EPSG:5730"):
            source = frame.partition("@")[0]
            if source in {target, "EPSG:4937"} or CATALOGUE.frames[frame].kind == "ellipsoidal":
                continue
            pairs += 1
            entry = next((e for e in CATALOGUE.operations if frame in {e.frame_from, e.frame_to} and e.area), None)
            west, south, east, north = entry.area if entry else (5.0, 45.0, 15.0, 55.0)
            place = ((west + east) / 2, (south + north) / 2)
            transformer = Transformer.from_crs(f"EPSG:4258+{source[5:]}", f"EPSG:4258+{target[5:]}", always_xy=True)
            height = transformer.transform(*place, 100.0)[2]
            silent += height == 100.0
            moved += height != 100.0
            with contextlib.suppress(VerticalError):
                operation = CATALOGUE.operation(frame, target, grids_dir=tmp_path, epoch=2020.0)
                # A registered offset of zero is an answer; an operation without steps would be silence.
                unchanged += operation.shift(*place) == 0.0 and not operation.steps
    print(f"\nPROJ's default without grids: {silent} of {pairs} pairs silently unchanged, {moved} moved")
    record(
        "vertical-frames",
        "silent-pairs",
        ours=f"{unchanged} of {pairs}",
        peer=f"{silent} of {pairs}, PROJ without grids",
    )
    assert silent > 0


def test_projs_choice_at_722_east(shared):
    """The jump that pinning prevents, where PROJ is given all grids."""
    from pyproj import datadir

    datadir.append_data_dir(str(shared("proj-grids")))
    heights = []
    for lon in (7.20, 7.21, 7.22, 7.23, 7.24):
        area = AreaOfInterest(lon - 0.001, 50.799, lon + 0.001, 50.801)
        group = TransformerGroup(
            "EPSG:4258+7837", "EPSG:4258+5730", always_xy=True, allow_ballpark=False, area_of_interest=area
        )
        heights.append(group.transformers[0].transform(lon, 50.8, 100.0)[2] if group.transformers else np.nan)
    print("\nPROJ's DHHN2016 to EVRF2000 at 7.20 to 7.24 E:", np.round(np.array(heights) - 100, 3))


def test_surface_errors(shared):
    grids = shared("proj-grids")
    print()
    for frame, lon, lat in (
        ("EPSG:5709", 5.3, 52.1), ("EPSG:5710", 4.6, 50.7), ("EPSG:7837", 11.2, 47.7), ("EPSG:7837", 9.5, 52.5),
        ("EPSG:5720", 6.4, 45.2), ("EPSG:5728", 8.3, 46.7), ("EPSG:5778", 14.0, 47.4), ("EPSG:5941", 7.5, 61.5),
        ("EPSG:5613", 15.5, 63.0), ("EPSG:5782", -4.0, 40.3), ("EPSG:5701", -3.5, 55.0), ("EPSG:9651", 19.5, 52.0),
    ):  # fmt: skip
        tile = Tile.containing(*Transformer.from_crs(4258, 3035, always_xy=True).transform(lon, lat))
        operation = CATALOGUE.operation(frame, "EPSG:4937", grids_dir=grids)
        box = tile.geobox(100.0)
        surface = delta_surface(operation, box)
        random = np.random.default_rng(3)
        x = box.boundingbox.left + 50_000 * random.random(10_000)
        y = box.boundingbox.bottom + 50_000 * random.random(10_000)
        exact = operation.shift(*Transformer.from_crs(3035, 4258, always_xy=True).transform(x, y))
        error = np.abs(surface.at_points(x, y) - exact)
        print(f"{frame} {tile}: lattice {surface.step_x:g} m, 10,000 points within {np.nanmax(error) * 1000:.2f} mm")
        assert np.nanmax(error) <= 0.010


def test_vertical_stage_beside_proj_per_pixel(shared):
    operation = CATALOGUE.operation("EPSG:5709", "EPSG:7837", grids_dir=shared("proj-grids"))
    box = Tile(4050, 3150).geobox(10.0)
    heights = np.full(box.shape.shape, 50, dtype=np.float32)
    delta_surface(operation, box[:64, :64]).add_to(heights[:64, :64], box[:64, :64])
    heights[:64, :64] = 50
    start = time.process_time()
    surface = delta_surface(operation, box)
    for window in windows(box.shape.shape, 1024):
        surface.add_to(heights[window.slices], window.geobox(box))
    ours_s = time.process_time() - start
    to_degrees = Transformer.from_crs("EPSG:3035", "EPSG:4258", always_xy=True)
    start = time.process_time()
    part = box[:1000, :5000]
    x = part.affine.c + 10 * (np.arange(5000) + 0.5)
    y = part.affine.f - 10 * (np.arange(1000) + 0.5)
    exact = operation.shift(*to_degrees.transform(*np.meshgrid(x, y)))
    peer_s = (time.process_time() - start) * 5
    error = np.nanmax(np.abs(heights[:1000] - 50 - exact))
    print(f"\n25 Mpx: {ours_s:.3f} s CPU, pyproj per pixel {peer_s:.2f} s (from 5 Mpx), {peer_s / ours_s:.0f} times")
    print(f"largest difference {error * 1000:.2f} mm")
    peer = f"{peer_s:.1f} s, pyproj per pixel"
    record("vertical-frames", "per-pixel", ours=f"{ours_s:.3f} s", peer=peer, ratio=ours_s / peer_s)
    assert peer_s / ours_s >= 50
    assert error <= 0.002
