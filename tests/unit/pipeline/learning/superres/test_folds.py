"""Pieces of ground set aside: disjoint from what trains, measured, and never most of a site."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from orograph.infra.cli.app import app
from orograph.pipeline.learning.superres.dataset import GridLevel, Site, SiteList, SiteSpec
from orograph.pipeline.learning.superres.folds import GAP_PX, LEAST_PX, gathered, parted
from orograph.pipeline.superres.weights import load_weights
from tests.support.superres_fixtures import hills
from tests.support.tiffs import write_heights

PATCH_PX = 144


def numbered(rows: int, columns: int, valid: np.ndarray | None = None) -> Site:
    """A site whose heights are its pixels' numbers, so that a crop says where it came from."""
    heights = np.arange(rows * columns, dtype=np.float32).reshape(rows, columns)
    mask = np.ones(heights.shape, bool) if valid is None else valid
    spec = SiteSpec(name="made", file="made.tif", licence="none", attribution="nobody")
    return Site(spec, (heights,), (mask,))


@settings(max_examples=60, deadline=None)
@given(st.integers(60, 900), st.integers(60, 900), st.floats(0.05, 0.3))
def test_what_is_left_and_what_is_set_aside_never_meet(rows, columns, share):
    site = numbered(rows, columns)
    rest, piece = parted(site, share, PATCH_PX)
    if piece is None:
        assert rest is site
        longest = max(rows, columns)
        assert max(LEAST_PX, round(share * longest)) > longest / 3 or min(rows, columns) < LEAST_PX or (
            longest - max(LEAST_PX, round(share * longest)) - GAP_PX < PATCH_PX
        )  # fmt: skip
        return
    trained, judged = rest.heights_m[0], piece.heights_m[0]
    assert not np.intersect1d(trained, judged).size
    across = np.divmod(trained, columns)
    beside = np.divmod(judged, columns)
    apart = max(
        max(b.min() - a.max(), a.min() - b.max()) for a, b in zip(across, beside, strict=True)
    )  # fmt: skip
    assert apart == GAP_PX + 1
    assert judged.size <= site.heights_m[0].size / 3
    assert min(trained.shape) >= min(PATCH_PX, rows, columns)
    assert rest.spec == piece.spec == site.spec


def test_the_side_with_most_measured_ground_is_set_aside():
    valid = np.ones((400, 400), bool)
    valid[300:] = False
    valid[:, 350:] = False
    valid[:100, :200] = False
    _, piece = parted(numbered(400, 400, valid), 0.15, PATCH_PX)
    assert piece is not None
    assert piece.heights_m[0].shape == (400, 90)
    assert piece.valid[0].mean() == max(valid[:, :90].mean(), valid[:90].mean())


def test_a_mosaic_gives_its_last_chips():
    chip = numbered(50, 50)
    site = Site(chip.spec, chip.heights_m * 20, chip.valid * 20)
    rest, piece = parted(site, 0.15, PATCH_PX)
    assert piece is not None
    assert (len(rest.heights_m), len(piece.heights_m)) == (17, 3)


def test_sites_held_out_whole_leave_the_others_whole(tmp_path):
    sites = []
    for name in ("here", "there"):
        write_heights(tmp_path / f"{name}.tif", hills(300, 300))
        spec = SiteSpec(name=name, file=f"{name}.tif", licence="none", attribution="nobody", levels=(GridLevel(),))
        sites.append(SiteList(sites=(spec,)))
    ground = gathered(sites[0], sites[1], tmp_path, 0.2, PATCH_PX)
    assert ground.training[0].heights_m[0].shape == (300, 300)
    assert [site.spec.name for site in ground.judging] == ["there"]
    assert gathered(sites[0], sites[1], tmp_path, 0.2, PATCH_PX, judge=False).judging == ()
    assert gathered(sites[0], None, tmp_path, 0.0, PATCH_PX).judging == ()
    assert gathered(sites[0], None, tmp_path, 0.2, PATCH_PX).training[0].heights_m[0].size < 300 * 300


def test_ground_too_small_to_be_parted_is_said(tmp_path, caplog):
    write_heights(tmp_path / "small.tif", hills(180, 180))
    spec = SiteSpec(name="small", file="small.tif", licence="none", attribution="nobody")
    ground = gathered(SiteList(sites=(spec,)), None, tmp_path, 0.15, PATCH_PX)
    assert ground.judging == ()
    assert "too narrow" in caplog.text


@pytest.mark.parametrize("set_aside", [None, "0"])
def test_one_raster_alone_trains_with_calibrated_bands(set_aside, tmp_path):
    dtm = write_heights(tmp_path / "own.tif", hills(300, 300))
    told = "--preset XS --steps 2 --batch 2 --error-steps 2 --every 1 --precision fp32"
    options = told.split() + ([] if set_aside is None else ["--set-aside", set_aside])
    result = CliRunner().invoke(app, ["train", str(tmp_path / "run"), "--dtm", str(dtm), *options])
    assert result.exit_code == 0, result.output
    weights = load_weights(str(tmp_path / "run" / "weights.safetensors"))
    judged = set_aside is None
    assert ("gate.thresholds" in weights.tensors) is judged
    assert ("gain_own_decimated" in (tmp_path / "run" / "curves.csv").read_text()) is judged
    assert weights.about["held_out"] == (["a piece of own"] if judged else [])
