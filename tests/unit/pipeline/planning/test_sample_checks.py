"""Planning warns of suspicious files and of sources that disagree; a strict plan stops at the first."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

from orograph.infra.runs.fetch import probe
from orograph.pipeline.core.grid import Tile
from orograph.pipeline.core.surface import Surface
from orograph.pipeline.errors import SuspiciousSamples
from orograph.pipeline.planning import sample_checks
from orograph.pipeline.planning.planner import Planner
from orograph.pipeline.planning.sample_checks import check_samples, require_none
from orograph.pipeline.settings import ProcessingSettings
from orograph.pipeline.sources.catalogue import Source
from orograph.pipeline.sources.facts import Facts
from orograph.pipeline.sources.header import read_header
from tests.support.made import source, terrain

SIDE, PIXEL_M = 160, 10.0
EAST, NORTH = 4_320_000.0, 3_030_000.0


def write(path: Path, east: float = EAST, north: float = NORTH, change=lambda z: z) -> Path:
    x = east + PIXEL_M * (np.arange(SIDE) + 0.5)
    y = north - PIXEL_M * (np.arange(SIDE) + 0.5)
    noise = np.random.default_rng(int(east + north)).normal(0, 0.05, (SIDE, SIDE))
    heights = terrain(*np.meshgrid(x, y)) + noise
    with rasterio.open(
        path, "w", driver="GTiff", width=SIDE, height=SIDE, count=1, dtype="float32", crs="EPSG:3035", nodata=-9999,
        transform=Affine(PIXEL_M, 0, east, 0, -PIXEL_M, north),
    ) as file:  # fmt: skip
        file.write(change(heights).astype(np.float32), 1)
    return path


def entry(*paths: Path, **more: object) -> Source:
    return source(tuple(paths), **{"resolution_m": PIXEL_M, **more})


def kinds(*sources: Source) -> set[str]:
    return {warned.kind for warned in check_samples([(one, list(one.data.hrefs)) for one in sources])}


def holed(heights: np.ndarray) -> np.ndarray:
    row, col = np.mgrid[:SIDE, :SIDE]
    return np.where((row - 80) ** 2 + (col - 80) ** 2 < 900, 0.0, heights)


def test_sound_files_raise_no_warning(tmp_path: Path) -> None:
    assert kinds(entry(write(tmp_path / "a.tif"), write(tmp_path / "b.tif", east=EAST + SIDE * PIXEL_M))) == set()


def test_undeclared_voids_are_told_with_source_and_file(tmp_path: Path) -> None:
    one = entry(write(tmp_path / "a.tif", change=holed))
    (warned,) = check_samples([(one, list(one.data.hrefs))])
    assert (warned.kind, warned.source, warned.file) == ("undeclared void", "made", "a.tif")
    assert "exactly 0 m" in str(warned)


@pytest.mark.parametrize("below", [True, False])
def test_a_step_between_neighbouring_files_is_told_once(below: bool, tmp_path: Path) -> None:
    place = {"north": NORTH - SIDE * PIXEL_M} if below else {"east": EAST + SIDE * PIXEL_M}
    one = entry(write(tmp_path / "a.tif"), write(tmp_path / "b.tif", change=lambda z: z + 2.5, **place))
    (warned,) = check_samples([(one, list(one.data.hrefs))])
    assert warned.kind == "edge step"
    assert "2.5 m along the whole edge to b.tif" in warned.text


def test_a_plan_finds_a_step_and_opens_no_other_files_than_neighbours(tmp_path: Path, monkeypatch) -> None:
    side_m = SIDE * PIXEL_M
    paths = [write(tmp_path / f"{number}.tif", east=EAST + 3 * number * side_m) for number in range(4)]
    paths.append(write(tmp_path / "next.tif", east=EAST + side_m, change=lambda z: z + 2.5))
    opened: list[str] = []

    def counted(path: str, of: Source) -> Facts:
        opened.append(Path(path).name)
        return read_header(path, of)

    monkeypatch.setattr(sample_checks, "read_header", counted)
    monkeypatch.setattr(sample_checks, "PLACES", 1)
    planner = Planner(
        [entry(*paths)], ProcessingSettings(pixel_size_m=10, superres="none"), lambda href, _: probe(href)
    )
    (warned,) = planner.plan([Tile(4300, 3000)]).warnings
    assert (warned.kind, warned.file) == ("edge step", "0.tif")
    assert set(opened) == {"0.tif", "next.tif"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda z: z / 0.3048, "times the other source's: are they in feet"),
        (lambda z: z + 47, r"\+47.0 m off"),
        (lambda z: 900 - z, "is the sign wrong"),
    ],
)
def test_a_source_off_another_by_more_than_a_datum_is_told(change, words: str, tmp_path: Path) -> None:
    ours = entry(write(tmp_path / "a.tif", change=change), id="ours")
    other = entry(write(tmp_path / "b.tif"), id="other")
    (warned,) = check_samples([(one, list(one.data.hrefs)) for one in (ours, other)])
    assert warned.kind == "disagreement"
    with pytest.raises(SuspiciousSamples, match=words):
        require_none([warned])


def test_datum_and_canopy_are_not_a_disagreement(tmp_path: Path) -> None:
    plain = entry(write(tmp_path / "a.tif"), id="plain")
    datum = entry(write(tmp_path / "b.tif", change=lambda z: z - 2.3), id="datum")
    canopy = entry(write(tmp_path / "c.tif", change=lambda z: z + 18), id="canopy", surface=Surface.DSM)
    assert kinds(plain, datum) == kinds(plain, canopy) == set()
    assert (
        kinds(datum, entry(write(tmp_path / "d.tif", change=lambda z: z - 20), id="low", surface=Surface.DSM)) != set()
    )


def test_a_strict_plan_stops_and_another_warns(tmp_path: Path) -> None:
    one = entry(write(tmp_path / "a.tif", change=holed))
    settings = ProcessingSettings(pixel_size_m=10, superres="none")
    plan = Planner([one], settings, lambda href, _: probe(href)).plan([Tile(4300, 3000)])
    assert [warned.kind for warned in plan.warnings] == ["undeclared void"]
    with pytest.raises(SuspiciousSamples, match="orograph inspect"):
        Planner([one], settings, lambda href, _: probe(href), strict=True).plan([Tile(4300, 3000)])
