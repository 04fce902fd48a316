"""Equations of blocks: what a block without data or relief may state, and how patches fit into blocks."""

import numpy as np
import pytest

from orograph.pipeline.coregistration.block_normals import Evidence, gather, patches_per_block
from orograph.pipeline.coregistration.field import DisplacementField
from orograph.pipeline.coregistration.fitting import make_pair
from orograph.pipeline.coregistration.pair import Blocks
from tests.support.pairs import relief_pair

SCALE = np.array([1.0, 0.0])


@pytest.fixture(scope="module")
def pair():
    return make_pair(*relief_pair(up_m=2.0, noise_m=0.2), None, 1)


def test_blocks_together_have_the_equations_of_the_whole(pair):
    blocks = Blocks.of_counts(pair.reference.shape, (2, 2))
    evidence = gather(pair, DisplacementField(pair.geobox), blocks, SCALE, 1)
    assert evidence.a.shape == (4, 3, 3)
    np.testing.assert_allclose(evidence.a, evidence.a.transpose(0, 2, 1))
    assert evidence.count.sum() == pair.residuals(DisplacementField(pair.geobox), 1e9)[0].size


def test_a_constant_difference_is_found_in_every_block(pair):
    blocks = Blocks.of_counts(pair.reference.shape, (2, 2))
    evidence = gather(pair, DisplacementField(pair.geobox), blocks, SCALE, 1)
    up = np.linalg.solve(evidence.a, evidence.b[..., None])[:, 2, 0]
    np.testing.assert_allclose(up, 2.0, atol=0.1)


def test_blocks_without_data_or_relief_state_less():
    evidence = Evidence(np.ones((3, 3, 3)), np.ones((3, 3)), np.ones(3), np.array([5.0, 500.0, 500.0]))
    trusted = evidence.trusted(np.array([True, False, True]))
    assert not trusted.a[0].any()
    assert not trusted.b[0].any()
    np.testing.assert_array_equal(trusted.a[1], np.diag([0, 0, 1]))
    np.testing.assert_array_equal(trusted.b[1], [0, 0, 1])
    np.testing.assert_array_equal(trusted.a[2], np.ones((3, 3)))
    assert evidence.a.all()


def test_only_kept_blocks_have_equations():
    evidence = Evidence(np.ones((2, 3, 3)), np.ones((2, 3)), np.ones(2), np.ones(2))
    kept = evidence.kept(np.array([False, True]))
    assert not kept.a[0].any()
    assert kept.a[1].all()


@pytest.mark.parametrize(("counts", "patches"), [((2, 2), 6), ((12, 12), 1), ((60, 60), 1)])
def test_patches_are_about_ten_pixels_wide(pair, counts, patches):
    assert patches_per_block(pair, Blocks.of_counts(pair.reference.shape, counts)) == patches
