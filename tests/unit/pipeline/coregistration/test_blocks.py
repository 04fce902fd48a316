"""The table of blocks: values, statuses, JSON."""

import json

import numpy as np
import pytest

from orograph.pipeline.coregistration.block_normals import gather
from orograph.pipeline.coregistration.blocks import observable, tabulate
from orograph.pipeline.coregistration.field import DisplacementField
from orograph.pipeline.coregistration.fitting import make_pair
from orograph.pipeline.coregistration.pair import Blocks
from orograph.pipeline.coregistration.status import CoregistrationStatus
from tests.support.pairs import plane_raster, relief_pair

SCALE = np.array([0.5, 0.0])


@pytest.fixture(scope="module")
def table():
    """Four blocks; that in the south-east is void."""
    reference, moving = relief_pair(up_m=2.0, noise_m=0.3)
    reference.heights_m[60:, 60:] = np.nan
    pair = make_pair(reference, moving, None, 1)
    lattice = np.zeros((3, 2, 2))
    lattice[2] = 1.9
    field, blocks = DisplacementField(pair.geobox, lattice=lattice), Blocks.of_counts((120, 120), (2, 2))
    evidence = gather(pair, field, blocks, SCALE, 1)
    seen = observable(pair, field, blocks, SCALE)
    return tabulate(blocks, field, evidence, seen, pair, pair.residual_image(field, 1e9))


def test_centres_are_in_the_reference_crs_from_the_north_west(table):
    np.testing.assert_allclose(table.centre_m[0], [4_300_300, 2_699_700])
    np.testing.assert_allclose(table.centre_m[3], [4_300_900, 2_699_100])


def test_blocks_state_their_own_displacement(table):
    np.testing.assert_allclose(table.own_m[:3, 2], 2.0, atol=0.1)
    assert np.abs(table.own_m[:3, :2]).max() < 2.0
    assert (table.error_m[:3] < 2.0).all()
    np.testing.assert_allclose(table.nmad_m[:3], 0.3, rtol=0.15)


def test_a_void_block_is_too_few(table):
    assert table.status[:3] == (CoregistrationStatus.CONVERGED,) * 3
    assert table.status[3] is CoregistrationStatus.TOO_FEW
    assert table.count[3] == 0
    assert np.isnan(table.own_m[3]).all()
    assert np.isnan(table.nmad_m[3])


def test_rows_are_json(table):
    rows = json.loads(json.dumps(table.to_dicts(), allow_nan=False))
    assert [(row["row"], row["column"]) for row in rows] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert rows[3]["status"] == "too_few"
    assert rows[3]["nmad_m"] is None


def test_terrain_without_relief_is_not_observable():
    plane = plane_raster(60, 60)
    pair = make_pair(plane, plane, None, 1)
    blocks = Blocks.of_counts((60, 60), (2, 2))
    assert not observable(pair, DisplacementField(pair.geobox), blocks, SCALE).any()
