"""Splines, wavelets, lattices, codes and shared borders."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.interpolate import BSpline, RBFInterpolator
from scipy.ndimage import binary_dilation

from orograph.pipeline.errors import AllVoid, HeightsNotFinite, ModelError, NoTrainingPixels, UsageError
from orograph.pipeline.implicit.coding import (
    pack,
    pack_hierarchy,
    pack_lattice,
    sparsify,
    unpack,
    unpack_hierarchy,
    unpack_lattice,
)
from orograph.pipeline.implicit.fill import fill_voids
from orograph.pipeline.implicit.lattice import LatticeShape, fit_lattice, render
from orograph.pipeline.implicit.seams import halo_needed, shared_frame
from orograph.pipeline.implicit.splines import design, evaluate, gram, on_grid, refinement
from orograph.pipeline.implicit.wavelets import Axis, analyse, synthesise


def hills(rows: int, cols: int, seed: int = 0) -> np.ndarray:
    """Rough ground: a random field with the spectrum of terrain."""
    rng = np.random.default_rng(seed)
    fy, fx = np.fft.fftfreq(2 * rows)[:, None], np.fft.rfftfreq(2 * cols)[None, :]
    power = np.maximum(np.hypot(fy, fx), 1 / rows) ** -1.8
    phase = np.exp(2j * np.pi * rng.random(power.shape))
    field = np.fft.irfft2(power * phase, s=(2 * rows, 2 * cols))[:rows, :cols]
    return (500.0 + 100.0 * field / field.std()).astype(np.float32)


@pytest.mark.parametrize("derivative", [0, 1, 2])
def test_basis_is_scipys_cubic_b_spline(derivative: int) -> None:
    u = np.linspace(0, 5, 41)
    reference = BSpline(np.arange(-3.0, 9.0), np.eye(8), 3)(u, nu=derivative)
    assert np.allclose(design(u, 5, derivative).toarray(), reference, atol=1e-12)


def test_gram_holds_inner_products() -> None:
    u = np.linspace(0, 6, 60_001)
    basis = design(u, 6).toarray()
    numeric = np.trapezoid(basis[:, :, None] * basis[:, None, :], u, axis=0)
    assert np.allclose(gram(6).toarray(), numeric, atol=1e-8)


def test_refinement_changes_no_value() -> None:
    c = np.random.default_rng(1).normal(size=9)
    u = np.linspace(0, 6, 50)
    assert np.allclose(design(2 * u, 12) @ (refinement(6) @ c), design(u, 6) @ c, atol=1e-12)


def test_grid_and_scattered_evaluation_agree() -> None:
    c = np.random.default_rng(2).normal(size=(9, 12))
    v, u = np.linspace(0, 6, 17), np.linspace(0, 9, 23)
    for order in ((0, 0), (1, 0), (0, 2), (1, 1)):
        scattered = evaluate(c, v[:, None] + 0 * u, u + 0 * v[:, None], order)
        assert np.allclose(on_grid(c, v, u, order), scattered, atol=1e-12)


def test_hierarchy_is_orthonormal_and_invertible() -> None:
    rows, cols = Axis(5, 3), Axis(7, 2)
    for axis in (rows, cols):
        product = (axis.synthesis.T @ gram(axis.intervals) @ axis.synthesis).toarray()
        assert np.allclose(product, np.eye(axis.size), atol=1e-6)
        assert axis.bands[-1].stop == axis.size == len(axis.positions)
    c = np.random.default_rng(3).normal(size=(rows.size, cols.size))
    assert np.allclose(synthesise(analyse(c, rows, cols), rows, cols), c, atol=1e-5)


def test_a_constant_has_no_details() -> None:
    axis = Axis(4, 3)
    h = analyse(np.full((axis.size, axis.size), 7.0), axis, axis)
    details = h.copy()
    details[axis.bands[0], axis.bands[0]] = 0
    assert np.abs(details).max() < 1e-5 * np.abs(h).max()


@pytest.mark.parametrize("values", [[0, 1, -1, 127, -128, 126, -127, 128], [0], [2_000_000_000, -2_000_000_000, 5]])
def test_packing_returns_the_integers(values: list[int]) -> None:
    v = np.array(values, dtype=np.int32)
    assert np.array_equal(unpack(pack(v), len(v)), v)


def test_packed_lattices_and_hierarchies_come_back() -> None:
    rng = np.random.default_rng(4)
    lattice = rng.integers(-5000, 5000, (20, 31)).astype(np.int32)
    assert np.array_equal(unpack_lattice(pack_lattice(lattice), lattice.shape), lattice)
    rows, cols = Axis(3, 2), Axis(2, 4)
    h = rng.integers(-300, 300, (rows.size, cols.size)).astype(np.int32)
    assert np.array_equal(unpack_hierarchy(pack_hierarchy(h, rows, cols), rows, cols), h)


def test_damaged_code_is_refused() -> None:
    data = pack(np.arange(100, dtype=np.int32))
    with pytest.raises(ModelError, match="cannot be decoded"):
        unpack(data[: len(data) // 2], 100)
    with pytest.raises(ModelError, match="not 90 coefficients"):
        unpack(data, 90)


def test_sparsify_keeps_the_number_asked_for() -> None:
    h = np.random.default_rng(5).normal(size=(40, 40)) * 10
    levels, step = sparsify(h, 200)
    assert np.count_nonzero(levels) == 200
    kept = levels != 0
    assert np.abs(levels * step - h)[kept].max() <= step / 2 + 1e-12
    assert np.abs(h[kept]).min() >= np.abs(h[~kept]).max()


def test_lattice_reproduces_a_cubic() -> None:
    y, x = np.mgrid[0:40, 0:60] / 20.0
    z = 100 + 3 * x - 2 * y + x * x * y - 0.5 * y**3
    c = fit_lattice(z, LatticeShape(10, 15), smoothing=1e-9)
    assert np.abs(render(c, z.shape) - z).max() < 1e-4


def test_lattice_shape_keeps_to_the_parameters() -> None:
    for shape, n in (((512, 512), 15_625), ((300, 900), 4000), ((900, 300), 4000), ((64, 64), 64)):
        lattice = LatticeShape.for_parameters(n, shape)
        assert 0.9 * n < lattice.parameters <= n
    with pytest.raises(UsageError):
        LatticeShape(0, 5)


def test_weighted_fit_equals_the_plain_one_for_equal_weights() -> None:
    z = hills(60, 70)
    shape = LatticeShape(20, 23)
    plain = render(fit_lattice(z, shape, smoothing=1e-6), z.shape)
    weighted = render(fit_lattice(z, shape, np.full(z.shape, 3.0), smoothing=3e-6), z.shape)
    assert np.abs(plain - weighted).max() < 0.05


def test_weights_move_exactness_to_where_they_are() -> None:
    z = hills(96, 96)
    shape = LatticeShape(16, 16)
    weights = np.full(z.shape, 0.02)
    weights[:, :48] = 1.0
    even = np.abs(render(fit_lattice(z, shape), z.shape) - z)
    drawn = np.abs(render(fit_lattice(z, shape, weights), z.shape) - z)
    assert drawn[:, 40:48].mean() < 0.97 * even[:, 40:48].mean()


def test_a_plane_with_a_hole_is_filled_as_a_plane() -> None:
    y, x = np.mgrid[0:80, 0:90].astype(np.float32)
    z = (10 + 2 * x - 0.5 * y).astype(np.float32)
    holed = z.copy()
    holed[20:55, 30:70] = np.nan
    filled = fill_voids(holed)
    assert np.array_equal(filled[~np.isnan(holed)], z[~np.isnan(holed)])
    assert np.abs(filled - z).max() < 0.05


def test_hills_are_filled_as_by_the_exact_thin_plate() -> None:
    z = hills(100, 100)
    holed = z.copy()
    holed[40:60, 50:80] = np.nan
    gone = np.isnan(holed)
    row, col = np.nonzero(binary_dilation(gone, iterations=3) & ~gone)
    exact = RBFInterpolator(np.stack([row, col], 1), z[row, col], kernel="thin_plate_spline")
    plate = np.abs(exact(np.argwhere(gone)) - z[gone]).mean()
    assert np.abs(fill_voids(holed) - z)[gone].mean() < 1.1 * plate


def test_voids_are_bridged_where_there_is_nothing_beside_them() -> None:
    z = hills(60, 60)
    z[:, 30:] = np.nan
    filled = fill_voids(z)
    assert np.isfinite(filled).all()
    assert np.array_equal(filled[:, :30], z[:, :30])
    with pytest.raises(AllVoid):
        fill_voids(np.full((5, 5), np.nan))


def test_bad_heights_are_refused() -> None:
    z = hills(32, 32)
    z[3, 4] = np.inf
    with pytest.raises(HeightsNotFinite, match="1 heights are infinite"):
        fit_lattice(z, LatticeShape(5, 5))
    with pytest.raises(NoTrainingPixels):
        fit_lattice(np.full((8, 8), np.nan), LatticeShape(2, 2))
    with pytest.raises(NoTrainingPixels):
        fit_lattice(np.ones((8, 8)), LatticeShape(2, 2), np.zeros((8, 8)))
    with pytest.raises(HeightsNotFinite, match="not negative"):
        fit_lattice(np.ones((8, 8)), LatticeShape(2, 2), np.full((8, 8), -1.0))
    with pytest.raises(HeightsNotFinite, match="not a raster"):
        fit_lattice(np.ones(8), LatticeShape(2, 2))


def test_frame_needs_its_halo() -> None:
    shape = LatticeShape(16, 16)
    assert halo_needed(64, 16) == 32
    with pytest.raises(UsageError, match="too narrow"):
        shared_frame(hills(80, 80), 8, shape, 0.25)
