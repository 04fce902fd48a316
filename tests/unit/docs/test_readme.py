"""The one-file story of the README, typed as printed."""

import re
import shlex
from pathlib import Path

import pytest
import rasterio
from typer.testing import CliRunner

from orograph.infra.cli.app import app

ROOT = Path(__file__).resolve().parents[3]
SHARED = ROOT.parent / "shared"
README = (ROOT / "README.md").read_text(encoding="utf-8")


def block_after(heading):
    return re.search(r"```\w*\n(.*?)```", README.split(heading)[1], re.DOTALL).group(1)


def test_it_is_short_and_its_links_exist():
    assert len(README.splitlines()) <= 120
    for target in re.findall(r"\]\((?!http)([^)#]+)", README):
        assert (ROOT / target).exists(), target


def test_a_file_becomes_a_tile_and_a_picture(tmp_path, monkeypatch):
    dtm, grids = SHARED / "data/dtm/tirol_gar_5m.tif", SHARED / "proj-grids"
    if not dtm.exists() or not grids.exists():
        pytest.skip("needs the real terrain model and geoid grids in ../shared")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OROGRAPH_GRIDS_DIR", str(grids))
    (tmp_path / "my_dtm.tif").symlink_to(dtm)
    for line in block_after("## Your own terrain model").strip().splitlines():
        # At 25 m, so that the test is quick; the printed 5 m takes the same way.
        words = shlex.split(line.replace("--pixel-size 5", "--pixel-size 25"))
        assert words[0] == "orograph"
        result = CliRunner().invoke(app, words[1:])
        assert result.exit_code == 0, (line, result.output)
    with rasterio.open(next(tmp_path.glob("out/tiles/*/*/*/*_elevation.tif"))) as dataset:
        assert 1200 < dataset.read(1, masked=True).mean() < 2500
    assert (tmp_path / "my_dtm.png").stat().st_size > 1000
