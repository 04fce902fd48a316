"""Inspection tells what a file is and finds what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from PIL import Image
from typer.testing import CliRunner

from orograph.infra.cli.app import app
from orograph.infra.cli.common import ending
from orograph.pipeline.core.grid import Cell, Tile
from orograph.pipeline.errors import SourceCorrupt, SourceMissing
from orograph.pipeline.exports.hgt import write_hgt
from orograph.pipeline.exports.inspect import draw, inspect
from tests.support.formats_world import hills, write_tile


def test_a_published_tile_is_sound(tmp_path: Path) -> None:
    path = write_tile(tmp_path, Tile.parse("E4300N2650"), 50, hills)
    found = inspect(path)
    assert found.sound, found.checks
    assert found.facts["kind"] == "COG"
    assert found.facts["tile"] == "E4300N2650"
    assert found.facts["vertical_frame"].startswith("EPSG:5621")
    assert found.facts["overviews"] == [2]
    draw(found, tmp_path / "p.png")
    picture = np.asarray(Image.open(tmp_path / "p.png"))
    assert min(picture.shape[:2]) > 400
    assert picture[..., 0].std() > 10


def test_a_plain_file_fails_by_name(tmp_path: Path) -> None:
    with rasterio.open(
        tmp_path / "x.tif",
        "w",
        driver="GTiff",
        width=700,
        height=700,
        count=1,
        dtype="float32",
        crs="EPSG:32633",
        transform=rasterio.Affine(10, 0, 5e5, 0, -10, 5e6),
    ) as dataset:
        dataset.write(np.full((700, 700), 12_000, np.float32), 1)
    failed = {check.name for check in inspect(tmp_path / "x.tif").checks if not check.passed}
    assert failed == {"cloud-optimised", "vertical frame", "nodata declared", "heights plausible"}


def test_hgt(tmp_path: Path) -> None:
    samples = (np.arange(1201 * 1201) % 3000).reshape(1201, 1201).astype(np.int16)
    samples[0, :10] = -32768
    write_hgt(tmp_path / "N47E010.hgt.zip", Cell(47, 10), samples)
    found = inspect(tmp_path / "N47E010.hgt.zip")
    assert found.sound
    assert (found.facts["cell"], found.facts["arc_seconds"]) == ("N47E010", 3)
    assert found.facts["maximum"] == 2999


def test_what_is_no_raster(tmp_path: Path) -> None:
    (tmp_path / "x.tif").write_text("no")
    for name, kind in (("x.tif", SourceCorrupt), ("absent.tif", SourceMissing)):
        with pytest.raises(kind, match=name):
            inspect(tmp_path / name)
    assert SourceMissing.exit_code == 4


def test_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = write_tile(tmp_path, Tile.parse("E4300N2650"), 100, hills)
    result = CliRunner().invoke(app, ["inspect", str(path)])
    assert result.exit_code == 0, result.output
    assert "strictly valid" in result.output
    assert not list(tmp_path.glob("*.png")), "a picture was written unasked"
    assert CliRunner().invoke(app, ["inspect", str(path), "--png", str(tmp_path / "p.png")]).exit_code == 0
    assert (tmp_path / "p.png").stat().st_size > 100
    (tmp_path / "N47E010.hgt").write_bytes(bytes(2 * 1201 * 1201))
    result = CliRunner().invoke(app, ["inspect", "--json", str(tmp_path / "N47E010.hgt")])
    assert result.exit_code == 0, result.output
    assert '"cell": "N47E010"' in result.output


def test_suspicious_samples_are_told_with_pictures_and_stop_a_strict_inspection(tmp_path: Path) -> None:
    heights = np.random.default_rng(1).normal(300, 0.3, (200, 200)).astype(np.float32)
    heights += np.linspace(0, 80, 200, dtype=np.float32)
    heights[60, 70] += 300
    heights[100:140, 100:140] = 0
    path = tmp_path / "x.tif"
    with rasterio.open(
        path, "w", driver="GTiff", width=200, height=200, count=1, dtype="float32", crs="EPSG:25832", nodata=-9999,
        transform=rasterio.Affine(10, 0, 5e5, 0, -10, 5e6),
    ) as dataset:  # fmt: skip
        dataset.write(heights, 1)
    found = inspect(path)
    assert {one.kind for one in found.suspicions} == {"undeclared void", "spike"}
    words = ["inspect", str(path), "--png", str(tmp_path / "p.png")]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    assert "WARN  undeclared void: 4.0 % of the heights are exactly 0 m" in result.output
    for kind in ("undeclared_void", "spike"):
        picture = np.asarray(Image.open(tmp_path / f"p_{kind}.png"))
        assert picture.shape == (2 * 96 * 5, 96 * 5), "relief above heights, five times enlarged"
        assert picture.std() > 10
    # The lower half is heights in grey: the void is black, the terrain around it is not.
    grey = np.asarray(Image.open(tmp_path / "p_undeclared_void.png"))[96 * 5 :]
    assert (grey == 0).mean() == pytest.approx(40 * 40 / 96**2, abs=0.02)
    assert CliRunner().invoke(app, [*words, "--strict"]).exit_code == 1


def test_a_missing_file_ends_with_4(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert ending(lambda: app(["inspect", str(tmp_path / "none.tif")], standalone_mode=False)) == 4
    assert "no raster at" in capfd.readouterr().err
