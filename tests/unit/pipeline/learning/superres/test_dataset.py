"""Sites and batches of training: voids, noise, draws by seed, turned copies."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import minimum_filter

from orograph.pipeline.errors import ConfigError, SourceMissing
from orograph.pipeline.learning.superres.dataset import (
    GridLevel,
    Mix,
    Sampler,
    Site,
    SiteList,
    Turned,
    load_site,
    read_heights,
    turned_copies,
)
from orograph.pipeline.learning.superres.train import Trainer
from orograph.pipeline.sources.catalogue import Thinning
from tests.support.superres_fixtures import hills
from tests.support.training_sites import plan, site, spec, write

pytestmark = pytest.mark.usefixtures("quick_bases")


def test_sites_come_from_yaml_and_folds_are_by_name(tmp_path):
    listed = SiteList.gather(None, [])
    names = {site.name for site in listed.sites}
    assert {"tirol-hit", "tirol-kot", "norway"} <= names
    assert all(site.licence and site.attribution for site in listed.sites)
    assert "tirol-kot" not in {site.name for site in listed.without(["tirol-kot"]).sites}
    with pytest.raises(ConfigError, match="atlantis"):
        listed.without(["atlantis"])
    bad = tmp_path / "bad.yaml"
    bad.write_text("sites: [{name: a, colour: blue}]")
    with pytest.raises(ConfigError, match="not a list of training sites"):
        SiteList.read(bad)
    assert [s.name for s in SiteList.gather(None, [tmp_path / "mine.tif"]).sites] == ["mine"]


def test_voids_are_continued_and_remembered(tmp_path):
    heights = hills(120, 100)
    heights[40:60, 50:70] = -9999.0
    write(tmp_path / "made.tif", heights)
    loaded = load_site(spec(), tmp_path)
    assert loaded.valid[0].sum() == 120 * 100 - 400
    assert np.isfinite(loaded.heights_m[0]).all()
    assert abs(loaded.heights_m[0][50, 60] - hills(120, 100)[50, 60]) < 100
    with pytest.raises(SourceMissing):
        read_heights(tmp_path / "gone.tif")


def test_chips_of_a_mosaic_never_mix(tmp_path):
    write(tmp_path / "made.tif", hills(100, 100))
    loaded = load_site(spec(chip_px=40), tmp_path)
    assert [chip.shape for chip in loaded.heights_m[:3]] == [(40, 40), (40, 40), (40, 20)]


def test_batches_are_what_thinning_makes_of_their_fine_heights():
    sampler = Sampler([site()], 3, 16, 4, Mix(noisy=0.0, wide=0.0), seed=1)
    seen = set()
    for step in range(30):
        batch = sampler.draw(step)
        seen.add((batch.condition.thinning, round(batch.condition.log_aspect, 2)))
        assert batch.coarse.shape == (4, 1, 16, 16)
        if batch.condition.thinning is Thinning.DECIMATED:
            np.testing.assert_array_equal(batch.coarse, batch.fine[:, :, 1::3, 1::3])
        else:
            means = batch.fine.reshape(4, 16, 3, 16, 3).mean(axis=(2, 4))
            np.testing.assert_allclose(batch.coarse[:, 0], means, atol=1e-3)
    assert {mode for mode, _ in seen} == set(Thinning)
    assert {aspect for _, aspect in seen} >= {0.0, 0.69, -0.69}


def test_draws_depend_on_seed_and_step_only():
    a, b = (Sampler([site()], 3, 16, 2, Mix(), seed=7) for _ in range(2))
    b.draw(1)
    np.testing.assert_array_equal(a.draw(5).fine, b.draw(5).fine)
    assert not np.array_equal(a.draw(5).fine, a.draw(6).fine)


def test_noise_is_told_in_metres():
    sampler = Sampler([site()], 3, 16, 3, Mix(averaged=0.0, noisy=1.0), seed=2)
    batch = sampler.draw(0)
    added = batch.coarse - batch.fine[:, :, 1::3, 1::3]
    assert not batch.condition.consistent
    np.testing.assert_allclose(added.std(axis=(1, 2, 3)), batch.noise_m, rtol=0.4)


def test_too_small_sites_are_refused():
    with pytest.raises(ConfigError, match="no site contains"):
        Sampler([site(side=30)], 3, 16, 2, Mix(), seed=0)


def test_a_site_too_small_for_a_patch_is_named(tmp_path, caplog):
    trainer = Trainer(plan(), [site(), site(side=40, name="tiny")], tmp_path)
    assert trainer.sampler.idle == ("tiny",)
    assert "no patch of 48 pixels fits into tiny" in caplog.text


def test_turned_copies_keep_slopes_and_voids(tmp_path):
    rows, columns = np.mgrid[:200, :160].astype(np.float32)
    plane = 3.0 * rows + 4.0 * columns
    valid = np.ones(plane.shape, bool)
    valid[90:110, 70:90] = False
    turned = Turned(copies=3, least=1.5, most=2.5)
    copies = turned_copies(Site(spec(turned=turned), (plane,), (valid,)), seed=1)
    assert copies is not None
    assert copies.spec.turned is None
    for heights, sound in zip(copies.heights_m, copies.valid, strict=True):
        steps = np.hypot(heights[1:, :-1] - heights[:-1, :-1], heights[:-1, 1:] - heights[:-1, :-1])
        inner = minimum_filter(sound, size=3)[:-1, :-1]
        spacing = steps[inner] / 5.0
        assert spacing.std() < 5e-3  # a spline bends at the rim of its data
        assert 1.5 <= spacing.mean() <= 2.5
        # The site's area less the void and the rim a spline touches.
        assert 0.8 < sound.sum() * spacing.mean() ** 2 / valid.sum() < 1.0
    again = turned_copies(Site(spec(turned=turned), (plane,), (valid,)), seed=1)
    assert all(np.array_equal(a, b) for a, b in zip(copies.heights_m, again.heights_m, strict=True))
    assert turned_copies(site(), seed=1) is None
    drawn_out = turned_copies(
        Site(spec(turned=Turned(copies=8, least=1.5, most=1.5, stretch=2.0)), (plane,), (valid,)), seed=1
    )
    assert drawn_out is not None
    steepened = []
    for heights, sound in zip(drawn_out.heights_m, drawn_out.valid, strict=True):
        steps = np.hypot(heights[1:, :-1] - heights[:-1, :-1], heights[:-1, 1:] - heights[:-1, :-1])
        steps = steps[minimum_filter(sound, size=3)[:-1, :-1]] / 7.5
        assert steps.std() < 1e-2
        steepened.append(steps.mean())
    assert min(steepened) >= 1.0 - 1e-3
    assert 1.1 < max(steepened) <= 2.0


def test_unseen_batches_are_ground_at_its_own_pixels(tmp_path):
    ground = site()
    sampler = Sampler([ground], 3, 16, 4, Mix(), seed=1)
    plain = Sampler(
        [replace(ground, spec=ground.spec.model_copy(update={"levels": (GridLevel(),)}))], 3, 16, 4, Mix(), 1
    )
    seen = set()
    for step in range(30):
        batch = sampler.unseen(step)
        seen.add((batch.condition.thinning, round(abs(batch.condition.log_aspect), 2)))
        assert batch.coarse.shape == (4, 1, 16, 16)
        assert batch.fine.shape == batch.valid.shape == (4, 1, 48, 48)
        assert batch.noise_m is None
        np.testing.assert_array_equal(batch.coarse, sampler.unseen(step).coarse)
    assert seen == {(mode, aspect) for mode in Thinning for aspect in (0.0, 0.69)}
    # Neighbouring samples differ as the ground's own pixels do, not as every third of them does.
    own = np.abs(np.diff(ground.heights_m[0], axis=1)).mean()
    unseen = np.mean([np.abs(np.diff(plain.unseen(step).coarse, axis=3)).mean() for step in range(30)])
    thinned = np.mean([np.abs(np.diff(plain.draw(step).coarse, axis=3)).mean() for step in range(30)])
    assert unseen == pytest.approx(own, rel=0.3)
    assert thinned > 1.5 * unseen
