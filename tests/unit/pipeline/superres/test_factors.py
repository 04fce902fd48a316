"""Factors other than three by the same code: trained, judged, and raised to."""

from __future__ import annotations

import json

import numpy as np
import pytest
import rasterio
from typer.testing import CliRunner

from orograph.infra.cli.app import app
from orograph.pipeline.errors import ConfigError
from orograph.pipeline.learning.superres.degrade import thin
from orograph.pipeline.sources.catalogue import Thinning
from orograph.pipeline.superres import resolver
from tests.support.superres_fixtures import hills
from tests.support.tiffs import write_heights


@pytest.mark.parametrize("factor", [2, 5])
def test_a_network_of_another_factor_is_trained_judged_and_used(factor, tmp_path, monkeypatch):
    from orograph.pipeline.learning.superres import train

    fit = train.fit_bases
    monkeypatch.setattr(train, "fit_bases", lambda sampler: fit(sampler, draws=4))
    ground = write_heights(tmp_path / "here.tif", hills(200, 200))
    other = write_heights(tmp_path / "there.tif", hills(160, 160, 5))
    runner = CliRunner()
    options = {"--preset": "XS", "--factor": factor, "--steps": 4, "--batch": 2, "--patch": 16, "--error-steps": 3,
               "--every": 2, "--precision": "fp32", "--margin": 3,
               "--hold-out": "there"}  # fmt: skip
    told = [str(part) for option in options.items() for part in option]
    run = ["train", str(tmp_path / "run"), "--dtm", str(ground), "--dtm", str(other), *told]
    trained = runner.invoke(app, run)
    assert trained.exit_code == 0, trained.output
    weights = tmp_path / "run" / "weights.safetensors"
    assert f"elevation by {factor}" in weights.with_suffix(".md").read_text()

    judged = runner.invoke(
        app,
        ["evaluate", str(other), "--factor", str(factor), "--thinning", "averaged", "--model", str(weights),
         "--fit-on", str(ground), "--no-wrong-mode", "--ensemble", "--json"],
    )  # fmt: skip
    assert judged.exit_code == 0, judged.output
    rows = json.loads(judged.stdout)["methods"]
    assert {"weights", "weights x8", "best-linear", "keys6"} <= set(rows)
    assert abs(rows["weights"]["gain_rmse_percent"]) < 60, "four steps leave it near its base"
    assert "coverage_percent" in rows["weights"]

    raised = runner.invoke(
        app,
        ["superres", str(other), str(tmp_path / "fine.tif"), "--factor", str(factor), "--thinning", "averaged",
         "--model", str(weights), "--trust-thinning"],
    )  # fmt: skip
    assert raised.exit_code == 0, raised.output
    with rasterio.open(tmp_path / "fine.tif") as fine, rasterio.open(other) as coarse:
        assert fine.shape == (160 * factor, 160 * factor)
        assert fine.bounds == coarse.bounds
        means = thin(fine.read(1), factor, Thinning.AVERAGED)
        np.testing.assert_allclose(means, coarse.read(1), atol=2e-2)


def test_decimation_by_an_even_factor_is_refused_where_it_would_shift(tmp_path):
    with pytest.raises(ConfigError, match="even factor 2"):
        thin(hills(20, 20), 2, Thinning.DECIMATED)
    dtm = write_heights(tmp_path / "a.tif", hills(120, 120))
    refused = CliRunner().invoke(app, ["evaluate", str(dtm), "--factor", "2", "--model", "keys6"])
    assert isinstance(refused.exception, ConfigError)
    assert "odd factor" in refused.exception.remedy


@pytest.mark.parametrize("factor", [2, 5])
def test_interpolants_know_every_factor(factor):
    plane = np.add.outer(3.0 * np.arange(30), -2.0 * np.arange(30)).astype(np.float32)
    for name in ("bilinear", "gdal-cubic", "keys6", "bspline"):
        fine, _ = resolver(name)(plane, factor=factor)
        inner = fine[5 * factor : -5 * factor, 5 * factor : -5 * factor]
        np.testing.assert_allclose(np.diff(inner, axis=0), 3.0 / factor, atol=2e-3)
