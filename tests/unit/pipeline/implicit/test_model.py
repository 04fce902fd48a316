"""Models: files, command line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from typer.testing import CliRunner

from orograph.infra.cli.app import app
from orograph.pipeline.errors import (
    BandMismatch,
    ConfigError,
    ForeignModel,
    NoOverlap,
    OutsideExtent,
    SourceMissing,
)
from orograph.pipeline.implicit.fit import FitOptions, Kind, fit_model
from orograph.pipeline.implicit.model import ImplicitModel
from orograph.pipeline.implicit.terrain import render_model
from tests.support.implicit_world import box, ground, write


@pytest.mark.parametrize("kind", list(Kind))
def test_every_kind_survives_its_file(kind: Kind, tmp_path: Path) -> None:
    z = ground(48, 56)
    options = FitOptions(kind, 700, steps=30, frames=2)
    seen: list[int] = []
    model = fit_model(z, box(48, 56), options, source="hills", frame="EPSG:5621", on_frame=lambda n, _: seen.append(n))
    path = tmp_path / "m.safetensors"
    assert model.save(path) == path.stat().st_size
    read = ImplicitModel.load(path)
    assert read.field.parameters == model.field.parameters <= 700
    assert (read.crs, read.source, read.frame, read.shape) == ("EPSG:32633", "hills", "EPSG:5621", (48, 56))
    image = render_model(read, box(48, 56))
    error = image.astype(np.float64) - z
    assert read.statistics.rmse_m == pytest.approx(np.sqrt(np.mean(error**2)), abs=2e-3)
    assert read.statistics.max_m == pytest.approx(np.abs(error).max(), abs=2e-3)
    assert len(seen) >= 1


def test_foreign_files_are_refused(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    with pytest.raises(SourceMissing):
        ImplicitModel.load(tmp_path / "none.safetensors")
    text = tmp_path / "text.safetensors"
    text.write_text("no tensors at all")
    with pytest.raises(ForeignModel, match="not a safetensors"):
        ImplicitModel.load(text)
    other = tmp_path / "other.safetensors"
    save_file({"weight": np.zeros(3, dtype=np.float32)}, other)
    with pytest.raises(ForeignModel, match="not an implicit terrain"):
        ImplicitModel.load(other)
    save_file({"code": np.zeros(3, dtype=np.uint8)}, other, metadata={"orograph-implicit": '{"version": 99}'})
    with pytest.raises(ForeignModel, match="version 99"):
        ImplicitModel.load(other)
    save_file({"code": np.zeros(3, dtype=np.uint8)}, other, metadata={"orograph-implicit": '{"version": 1}'})
    with pytest.raises(ForeignModel, match="damaged"):
        ImplicitModel.load(other)


def test_command_line_fits_asks_and_renders(tmp_path: Path) -> None:
    runner = CliRunner()
    tif = write(tmp_path / "h.tif", ground(64, 64), box(64, 64))
    out = tmp_path / "m.safetensors"
    result = runner.invoke(app, ["implicit", "fit", str(tif), "-o", str(out), "--parameters", "900", "--json"])
    assert result.exit_code == 0, result.output
    asked = runner.invoke(app, ["implicit", "query", str(out), "--lon", "15.003", "--lat", "46.95"])
    assert '"slope_deg"' in asked.output
    points = tmp_path / "p.csv"
    points.write_text("x,y\n500100,5199900\n500200,5199800\n")
    table = runner.invoke(app, ["implicit", "query", str(out), "--points", str(points), "--crs", "EPSG:32633"])
    assert len(table.output.strip().splitlines()) == 3
    image = tmp_path / "r.tif"
    drawn = runner.invoke(app, ["implicit", "query", str(out), "--render", str(image), "--resolution", "5"])
    assert drawn.exit_code == 0, drawn.output
    with rasterio.open(image) as dataset:
        assert dataset.shape == (128, 128)
        assert dataset.crs.to_epsg() == 32633
    described = runner.invoke(app, ["implicit", "info", str(out)])
    assert '"rmse_m"' in described.output
    folder = tmp_path / "tiles"
    cut_up = runner.invoke(
        app,
        ["implicit", "tiles", str(tif), "-o", str(folder), "--zoom", "15", "--pixels", "64", "--parameters", "1500"],
    )
    assert cut_up.exit_code == 0, cut_up.output
    assert list(folder.glob("*.safetensors"))


def test_command_line_names_what_is_wrong(tmp_path: Path) -> None:
    runner = CliRunner()
    two = write(tmp_path / "two.tif", ground(32, 32), box(32, 32), bands=2)
    assert isinstance(runner.invoke(app, ["implicit", "fit", str(two)]).exception, BandMismatch)
    one = write(tmp_path / "one.tif", ground(32, 32), box(32, 32))
    wrong = runner.invoke(app, ["implicit", "fit", str(one), "--kind", "magic"])
    assert isinstance(wrong.exception, ConfigError)
    assert isinstance(runner.invoke(app, ["implicit", "fit", str(tmp_path / "no.tif")]).exception, SourceMissing)
    outside = runner.invoke(app, ["implicit", "fit", str(one), "--window", "0", "0", "99", "99"])
    assert isinstance(outside.exception, OutsideExtent)
    weights = write(tmp_path / "w.tif", np.ones((32, 32), np.float32), box(32, 32, 5, 5))
    apart = runner.invoke(app, ["implicit", "fit", str(one), "--weights", str(weights)])
    assert isinstance(apart.exception, NoOverlap)
