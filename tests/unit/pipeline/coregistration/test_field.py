"""Displacement fields: values at places and on grids, and the grids they accept."""

import math

import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox

from orograph.pipeline.coregistration.field import DisplacementField, geometry_of, monomials, refined, require_metric
from orograph.pipeline.coregistration.waves import Wave, sampled_shape
from orograph.pipeline.errors import CoregistrationError, SourceGridError

BOX = GeoBox((40, 60), Affine(10, 0, 1000, 0, -10, 5000), "EPSG:3035")
RNG = np.random.default_rng(3)
FULL = DisplacementField(BOX, RNG.normal(size=(3, 6)), RNG.normal(size=(3, 4, 5)))


def centres():
    rows, cols = np.mgrid[0:40, 0:60] + 0.5
    return 1000 + 10 * cols, 5000 - 10 * rows


def test_a_polynomial_is_scaled_to_the_grid():
    polynomial = np.zeros((3, 6))
    polynomial[0, 1], polynomial[1, 2], polynomial[2, 0] = 2.0, 3.0, 4.0
    field = DisplacementField(BOX, polynomial)
    east, north, up = field.at(np.array([1000.0, 1300.0, 1600.0]), np.array([5000.0, 4800.0, 4600.0]))
    np.testing.assert_allclose(east, [-2, 0, 2])
    np.testing.assert_allclose(north, [-3, 0, 3])
    np.testing.assert_allclose(up, 4)


def test_the_kernels_give_the_field_at_pixel_centres():
    np.testing.assert_allclose(np.stack(FULL.on(BOX)), FULL.at(*centres()), atol=1e-4)
    np.testing.assert_allclose(np.stack(FULL.on(BOX[5:9, 7:20])), FULL.at(*centres())[:, 5:9, 7:20], atol=1e-4)


def test_the_mean_is_that_of_the_pixels():
    field = DisplacementField(BOX, FULL.polynomial, np.full((3, 4, 5), 2.0))
    np.testing.assert_allclose(field.mean_m, field.at(*centres()).mean(axis=(1, 2)), atol=1e-3)


def test_the_largest_shift_bounds_every_pixel():
    wave = Wave((0.003, 0.001), (0.5, 0.1, 0.0), (0.0, 0.3, 0.0))
    field = DisplacementField(BOX, lattice=np.full((3, 4, 5), 2.0)).with_waves((wave,))
    east, north, _ = field.at(*centres())
    assert np.hypot(east, north).max() <= field.largest_horizontal_m
    assert DisplacementField(BOX).largest_horizontal_m == 0.0


def test_rounding_is_to_a_micrometre_and_stable():
    rounded = FULL.rounded()
    np.testing.assert_allclose(rounded.polynomial, FULL.polynomial, atol=5e-7)
    np.testing.assert_array_equal(rounded.rounded().lattice, rounded.lattice)


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (4, 1)])
def test_a_single_node_is_constant_along_its_axis(shape):
    lattice = RNG.normal(size=(3, *shape))
    moves = DisplacementField(BOX, lattice=lattice).at(*centres())
    if shape[0] == 1:
        np.testing.assert_allclose(moves[:, 0], moves[:, -1])
    if shape[1] == 1:
        np.testing.assert_allclose(moves[:, :, 0], moves[:, :, -1])


def test_refining_keeps_constants_and_the_same_shape_is_the_same():
    np.testing.assert_allclose(refined(np.full((3, 2, 3), 7.0), (5, 8)), 7.0)
    np.testing.assert_allclose(refined(FULL.lattice, (4, 5)), FULL.lattice)


def test_monomials_are_in_the_documented_order():
    np.testing.assert_array_equal(monomials(np.array([2.0]), np.array([3.0])), [[1, 2, 3, 4, 6, 9]])


def test_geometry_places_a_coarser_pixel_between_finer_ones():
    coarse = GeoBox((20, 30), BOX.affine @ Affine.scale(2), BOX.crs)
    geometry = geometry_of(coarse, BOX, BOX)
    # The centre of a pixel of 20 m is half a pixel of 10 m from the centre of its first part.
    np.testing.assert_allclose(geometry[:4], [0.5, 2.0, 0.5, 2.0])
    np.testing.assert_allclose(geometry[8:], [0.1, 0.1, 40, 60])


@pytest.mark.parametrize(
    ("affine", "crs", "message"),
    [
        (BOX.affine, None, "horizontal CRS"),
        (BOX.affine, "EPSG:4326", "degrees"),
        (BOX.affine, "EPSG:2263", "foot"),
        (Affine(10, 1, 0, 0, -10, 0), "EPSG:3035", "north-up"),
        (Affine(10, 0, 0, 0, 10, 0), "EPSG:3035", "north-up"),
    ],
)
def test_grids_that_are_not_plain_metres_are_typed_errors(affine, crs, message):
    with pytest.raises(SourceGridError, match=message):
        require_metric(GeoBox((2, 2), affine, crs))


def test_shapes_and_crs_that_do_not_fit_are_typed_errors():
    with pytest.raises(CoregistrationError, match="shapes"):
        DisplacementField(BOX, np.zeros((3, 5)))
    with pytest.raises(SourceGridError, match="EPSG:25832"):
        geometry_of(BOX, BOX, GeoBox((2, 2), BOX.affine, "EPSG:25832"))


def test_a_sampled_field_keeps_the_lattice_and_follows_the_wave():
    geobox = GeoBox((200, 240), Affine(20.0, 0, 0, 0, -20.0, 0), "EPSG:25833")
    rng = np.random.default_rng(1)
    lattice = rng.standard_normal((3, 4, 5))
    wave = Wave(
        (math.sin(math.radians(30.0)) / 500.0, math.cos(math.radians(30.0)) / 500.0), (1.0, 0.5, -1.0), (0.2, 0.0, 0.7)
    )
    shape = sampled_shape((wave,), (4000.0, 4800.0), (4, 5))
    assert shape[0] % 4 == 0
    assert shape[0] // 4 % 2 == 1
    np.testing.assert_allclose(
        refined(refined(lattice, (12, 15)), (4, 5)), lattice, atol=1e-12
    )  # the coarse nodes are among the fine ones
    field = DisplacementField(geobox, lattice=lattice, waves=(wave,))
    got = np.stack(field.on(geobox))
    rows, cols = np.mgrid[0:200, 0:240] + 0.5
    true = np.stack(DisplacementField(geobox, lattice=lattice).on(geobox))
    true = true + wave.at((cols - 120) * 20.0, (100 - rows) * 20.0)
    assert np.abs(got - true).max() < 0.15
    assert np.sqrt(np.mean((got - true) ** 2)) < 0.03
    east, north = cols * 20.0, -rows * 20.0
    np.testing.assert_allclose(field.at(east, north), got, atol=1e-4)
