"""Local datums tied to a national frame by relationship grids, as New Zealand has them; made grids, exact numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
import yaml
from rasterio.transform import from_origin

from orograph.pipeline.core.hashing import file_sha256
from orograph.pipeline.errors import ConfigError, GridMissing, OutsideAreaOfUse
from orograph.pipeline.vertical import VerticalCatalogue

AREA = [172.0, -44.0, 175.0, -41.0]


def relationship(path: Path, base_m: float, per_degree_m: float) -> dict:
    """Offsets O of a local datum that rise eastwards; O = H_local - H_national."""
    lon = 171.5 + 0.5 * np.arange(9)
    values = np.repeat((base_m + per_degree_m * (lon - 172.0))[None, :], 9, axis=0).astype(np.float32)
    profile = {"driver": "GTiff", "width": 9, "height": 9, "count": 1, "dtype": "float32", "crs": "EPSG:4167"}
    with rasterio.open(path, "w", transform=from_origin(171.25, -40.25, 0.5, 0.5), **profile) as file:
        file.write(values, 1)
    return {
        "sha256": file_sha256(path),
        "size_bytes": path.stat().st_size,
        "licence": "CC0-1.0",
        "attribution": "made",
    }


def operation(name: str, grid: str) -> dict:
    return {
        "id": f"made:{name}",
        "title": f"{name} to the national frame",
        "from": f"local:{name}",
        "to": "national",
        "method": "relationship",
        "grid": grid,
        "accuracy_m": 0.02,
        "area": AREA,
    }


@pytest.fixture
def catalogue(tmp_path) -> VerticalCatalogue:
    document = {
        "version": 1,
        "cdn": "http://127.0.0.1",
        "frames": {name: {"name": name} for name in ("local:a", "local:b", "national")},
        "grids": {
            "a.tif": relationship(tmp_path / "a.tif", 0.30, 0.02),
            "b.tif": relationship(tmp_path / "b.tif", -0.10, 0.05),
        },
        "operations": [
            operation("a", "a.tif"),
            operation("b", "b.tif"),
            {
                "id": "made:a-b",
                "title": "a to b",
                "from": "local:a",
                "to": "local:b",
                "method": "route",
                "route": ["made:a", "-made:b"],
            },
        ],
    }
    path = tmp_path / "catalogue.yaml"
    path.write_text(yaml.safe_dump(document))
    return VerticalCatalogue.load(path)


def test_national_is_local_less_the_offset(catalogue, tmp_path):
    found = catalogue.operation("local:a", "national", grids_dir=tmp_path)
    assert found.shift(173.0, -42.5) == pytest.approx(-0.32, abs=1e-6)
    back = catalogue.operation("national", "local:a", grids_dir=tmp_path)
    assert back.shift(173.0, -42.5) == pytest.approx(0.32, abs=1e-6)


def test_between_local_datums_it_is_minus_a_plus_b(catalogue, tmp_path):
    found = catalogue.operation("local:a", "local:b", grids_dir=tmp_path)
    assert found.labels == ("made:a", "made:b (inverse)")
    assert found.shift(173.5, -42.0) == pytest.approx(-(0.30 + 0.03) + (-0.10 + 0.075), abs=1e-6)
    assert found.accuracy_m == pytest.approx(0.02 * 2**0.5)


def test_it_refuses_as_all_operations_do(catalogue, tmp_path):
    found = catalogue.operation("local:a", "national", grids_dir=tmp_path)
    with pytest.raises(OutsideAreaOfUse):
        found.shift(176.0, -42.0)
    with pytest.raises(GridMissing, match=r"a\.tif"):
        catalogue.operation("local:a", "local:b", grids_dir=tmp_path / "elsewhere")


def test_a_catalogue_with_a_choice_in_it_is_refused(tmp_path):
    entry = operation("a", "a.tif") | {"method": "constant", "offset_m": 0.1}
    document = {
        "version": 1,
        "cdn": "",
        "frames": {"local:a": {"name": "a"}, "national": {"name": "n"}},
        "grids": {},
        "operations": [entry | {"grid": None}, entry | {"grid": None, "id": "made:other"}],
    }
    path = tmp_path / "catalogue.yaml"
    path.write_text(yaml.safe_dump(document))
    with pytest.raises(ConfigError, match="would not be pinned"):
        VerticalCatalogue.load(path)
