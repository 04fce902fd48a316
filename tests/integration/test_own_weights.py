"""A person's own weights: from a file or a bucket, kept by their content, never by where they lay."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import rasterio
from typer.testing import CliRunner

from orograph.infra.cli.app import app
from orograph.infra.runs.fetch import Fetcher
from orograph.pipeline.errors import ConfigError, ModelError, SourceMissing
from orograph.pipeline.manifest import Manifest
from tests.support.made import source, write_catalogue, write_source
from tests.support.superres_fixtures import hills, made_weights
from tests.support.tiffs import write_heights

TILE = "E4200N3000"
BOX = (4_210_000.0, 3_010_000.0, 4_214_200.0, 3_014_200.0)


@pytest.fixture
def catalogue(tmp_path):
    coarse = source(write_source(tmp_path / "coarse.tif", "EPSG:3035", BOX, 30), id="coarse", resolution_m=30.0)
    path = tmp_path / "catalogue.yaml"
    write_catalogue(path, coarse)
    return path


def run(catalogue, store, name):
    told = ["run", "-c", str(catalogue), "-t", TILE, "-o", str(store), "--set", f"superres={name}", "--json"]
    done = CliRunner().invoke(app, [*told, "--grids-dir", str(store.parent / "grids"), "-w", "1"])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return sorted((store / "tiles" / TILE).glob("*/manifest.json"))


def test_a_tile_tells_what_weights_made_it_and_not_where_they_lay(tmp_path, catalogue):
    home = tmp_path / "secret-folder"
    home.mkdir()
    weights = home / "own.safetensors"
    digest = made_weights(weights)
    (manifest_path,) = run(catalogue, tmp_path / "store", weights)
    manifest = Manifest.from_json(manifest_path.read_bytes())
    assert manifest.settings["superres"] == f"sha256:{digest}"
    assert manifest.models["superres_sha256"] == digest
    assert hashlib.sha256((tmp_path / "store" / "models" / f"{digest}.safetensors").read_bytes()).hexdigest() == digest
    for path in (tmp_path / "store").rglob("*.json"):
        assert "secret-folder" not in path.read_text() or "inputs" in path.parts

    elsewhere = tmp_path / "copy.safetensors"
    elsewhere.write_bytes(weights.read_bytes())
    assert run(catalogue, tmp_path / "store", elsewhere) == [manifest_path], "the same weights are the same tile"
    made_weights(weights, gate=(0.5, 0.5))
    assert len(run(catalogue, tmp_path / "store", weights)) == 2, "other weights under the old name are another tile"


def test_weights_come_from_a_bucket(tmp_path, catalogue, s3_server, s3_bucket, monkeypatch):
    monkeypatch.setenv("OROGRAPH_S3_ENDPOINT_URL", s3_server.endpoint_url)
    path = tmp_path / "own.safetensors"
    digest = made_weights(path)
    s3_server.client().put_object(Bucket=s3_bucket, Key="nets/own.safetensors", Body=path.read_bytes())
    url = f"s3://{s3_bucket}/nets/own.safetensors"
    assert Fetcher(endpoint_url=s3_server.endpoint_url).read(url) == path.read_bytes()
    coarse = write_heights(tmp_path / "hills.tif", hills(60, 70))
    made = []
    for number, name in enumerate((str(path), f"{url}#sha256={digest}")):
        target = tmp_path / f"{number}.tif"
        done = CliRunner().invoke(app, ["superres", str(coarse), str(target), "--model", name, "--trust-thinning"])
        assert done.exit_code == 0, (done.output, done.exception)
        with rasterio.open(target) as dataset:
            made.append(dataset.read())
    np.testing.assert_array_equal(made[0], made[1])

    (manifest,) = run(catalogue, tmp_path / "store", f"{url}#sha256={digest}")
    assert Manifest.from_json(manifest.read_bytes()).settings["superres"] == f"sha256:{digest}"
    with pytest.raises(ConfigError, match="not pinned"):
        run(catalogue, tmp_path / "store", url)
    with pytest.raises(ModelError, match="another sha256"):
        run(catalogue, tmp_path / "store", f"{url}#sha256={'00' * 32}")
    with pytest.raises(SourceMissing):
        run(catalogue, tmp_path / "store", f"s3://{s3_bucket}/gone.safetensors#sha256={digest}")
