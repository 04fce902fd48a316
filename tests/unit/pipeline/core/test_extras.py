"""The base installation works without the packages of the extras, and says what to install where it does not."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from orograph.pipeline.core.extras import EXTRA_OF, missing_package

ROOT = Path(__file__).resolve().parents[4]
BLOCKED = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Blocker())
from orograph.infra.cli.app import main
sys.argv = ["orograph", *{arguments!r}]
main()
"""


def run_without_extras(*arguments: str) -> subprocess.CompletedProcess[str]:
    code = BLOCKED.format(blocked=sorted(EXTRA_OF), arguments=list(arguments))
    return subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, cwd=ROOT)


@pytest.fixture
def raster(tmp_path: Path) -> Path:
    rows, columns = np.mgrid[0:120, 0:120]
    heights = (500 + 40 * np.sin(rows / 9) + 30 * np.cos(columns / 7)).astype(np.float32)
    profile = {"driver": "GTiff", "dtype": "float32", "count": 1, "width": 120, "height": 120, "crs": "EPSG:25832"}
    with rasterio.open(
        tmp_path / "dem.tif", "w", transform=from_origin(5e5, 5.3e6, 10, 10), nodata=-9999, **profile
    ) as out:
        out.write(heights, 1)
    return tmp_path / "dem.tif"


def test_heights_need_no_extra() -> None:
    done = run_without_extras("height", "6.02", "50.75", "100", "--from", "EPSG:3855", "--to", "EPSG:5621")
    assert done.returncode == 0, done.stderr
    assert "EPSG:5621" in done.stdout


def test_coregistration_needs_no_extra(raster: Path, tmp_path: Path) -> None:
    done = run_without_extras("coregister", str(raster), str(raster), "-o", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    assert list((tmp_path / "out").iterdir())


def test_a_network_without_torch_names_the_extra(raster: Path, tmp_path: Path) -> None:
    done = run_without_extras("superres", str(raster), str(tmp_path / "fine.tif"), "--thinning", "decimated")
    assert done.returncode == 2
    assert "torch" in done.stderr
    assert "orograph[nets]" in done.stderr
    assert "Traceback" not in done.stderr


def test_other_missing_modules_stay_what_they_are() -> None:
    assert missing_package(ModuleNotFoundError("No module named 'nowhere'", name="nowhere")) is None


def test_every_named_extra_exists() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(EXTRA_OF.values()) <= set(extras)
