"""Coregistration next to xDEM 0.2.3, in one run.

`OROGRAPH_XDEM_PYTHON` names an interpreter with xdem==0.2.3, affine<3 and scikit-learn; without it xDEM's figures stay
those of the last run that had it. `OROGRAPH_TWIN_SEEDS` names the twins, such as `0,1,2`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import rasterio

from orograph.pipeline.core.raster import Raster
from orograph.pipeline.coregistration import fit
from orograph.pipeline.coregistration.cross_validation import held_out
from orograph.pipeline.coregistration.prepare import prepare_pair, read_heights, read_mask
from tests.bench.results import record
from tests.conftest import skip_or_fail

pytestmark = [pytest.mark.bench, pytest.mark.slow]

PEERS = Path(__file__).parent / "peers"
SEEDS = [int(seed) for seed in os.environ.get("OROGRAPH_TWIN_SEEDS", "0").split(",")]
METHOD = "blockwise(nuth-kaab)"
XDEM_METHODS = ("blockwise", "nuth-kaab", "nuth-kaab+deramp2", "lzd")


def nmad(values):
    values = values[np.isfinite(values)]
    return 1.4826 * float(np.median(np.abs(values - np.median(values))))


def json_of(command, **extra):
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])} | extra
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.strip().splitlines()[-1])


@pytest.fixture(scope="module", params=SEEDS, ids=lambda seed: f"twin{seed}")
def twin(request, shared, tmp_path_factory):
    folder = tmp_path_factory.mktemp(f"twin{request.param}")
    subprocess.run([sys.executable, shared("tools/make_coreg_twin.py"), str(request.param), folder], check=True)
    return folder


@pytest.fixture(scope="module")
def loaded(twin):
    reference, _ = read_heights(twin / "ref.tif")
    moving, _ = read_heights(twin / "tba.tif")
    with rasterio.open(twin / "field.tif") as file:
        return reference, moving, read_mask(twin / "stable.tif", reference), file.read()


@pytest.fixture(scope="module")
def xdem_methods(twin, tmp_path_factory):
    """Results of xDEM's methods on the twin, in sample; none where xDEM is absent."""
    python = os.environ.get("OROGRAPH_XDEM_PYTHON", "")
    if not python or not Path(python).exists():
        return {}
    files = [str(twin / name) for name in ("ref.tif", "tba.tif", "stable.tif")]
    script, folder = str(PEERS / "xdem_coregistration.py"), str(tmp_path_factory.mktemp("xdem"))
    return {method: json_of([python, script, method, *files, folder]) for method in XDEM_METHODS}


def xdem_nmads(results):
    """Span of xDEM's NMADs; empty, so that the earlier figure stays, where it did not run."""
    nmads_m = [line["nmad_m"] for line in results.values()]
    return f"{min(nmads_m):.2f} to {max(nmads_m):.2f} m in sample, xDEM" if nmads_m else ""


def timed(loaded, threads, repeats=5):
    """Fastest of several, wall and CPU seconds of fit and apply."""
    reference, moving, stable, _ = loaded
    runs = []
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), time.process_time()
        fit(reference, moving, stable, METHOD, threads=threads).apply(moving, threads=threads)
        runs.append((time.perf_counter() - wall, time.process_time() - cpu))
    return tuple(np.min(runs, axis=0))


def test_accuracy_on_a_twin(loaded, twin, xdem_methods):
    reference, moving, stable, truth = loaded
    result = fit(reference, moving, stable, METHOD)
    dh = (reference.heights_m - result.apply(moving).heights_m)[stable]
    displacement = result.displacement(reference.geobox)
    rmse = [float(np.sqrt(np.mean((d - t)[stable] ** 2))) for d, t in zip(displacement, truth, strict=True)]
    checked = [held_out(reference, moving, stable, METHOD, cell_m=cell) for cell in (500.0, 2000.0)]
    print(
        f"\n{twin.name}: NMAD {nmad((reference.heights_m - moving.heights_m)[stable]):.3f} -> {nmad(dh):.3f} m, "
        f"median {np.nanmedian(dh):.3f}; held out 500 m {checked[0].nmad_m:.3f}, 2 km {checked[1].nmad_m:.3f}, "
        f"2 km buffered {result.blind_nmad_m:.3f}; field RMSE east {rmse[0]:.2f} north {rmse[1]:.2f} up {rmse[2]:.3f} m"
    )
    if twin.name.startswith("twin0"):
        record(
            "coregistration",
            "held-out",
            claim="coregistration, NMAD held out",
            ours=f"{checked[0].nmad_m:.3f} m (noise 1.50)",
            peer=xdem_nmads(xdem_methods),
            data="twin of a 20 m DEM",
        )
    assert checked[0].nmad_m <= 1.52
    assert rmse[0] <= 1.1
    assert rmse[1] <= 1.1
    assert rmse[2] <= 0.25


def field_of_planes(planes, transform, shape):
    east = transform.c + transform.a * (np.arange(shape[1]) + 0.5)
    north = transform.f + transform.e * (np.arange(shape[0]) + 0.5)
    return [a * east[None, :] + b * north[:, None] + c for a, b, c in planes]


def test_speed_and_accuracy_beside_xdem(loaded, twin, xdem_methods, tmp_path):
    if not xdem_methods:
        skip_or_fail("xdem", "set OROGRAPH_XDEM_PYTHON to an interpreter with xdem==0.2.3, affine<3 and scikit-learn")
    reference, _, stable, truth = loaded
    files = [str(twin / name) for name in ("ref.tif", "tba.tif", "stable.tif")]
    peer = xdem_methods["blockwise"]
    timed(loaded, 2, repeats=1)
    warm = timed(loaded, 2)
    own = str(PEERS / "own_coregistration.py")
    cold = json_of([sys.executable, own, "cold", *files, METHOD, "2"])
    compiled = json_of([sys.executable, own, "cold", *files, METHOD, "2"], NUMBA_CACHE_DIR=str(tmp_path / "cache"))
    planes = field_of_planes(peer["planes"], reference.geobox.affine, stable.shape)
    rmse = [float(np.sqrt(np.mean((p - t)[stable] ** 2))) for p, t in zip(planes, truth, strict=True)]
    print(
        f"\n{twin.name} xDEM blockwise: NMAD {peer['nmad_m']:.2f}, median {peer['median_m']:.2f}, {peer['wall_s']:.1f} s wall,"
    )
    print(
        f"  {peer['cpu_s']:.1f} s CPU, peak {peer['peak_mb']:.0f} MB, field RMSE {', '.join(f'{v:.2f}' for v in rmse)} m"
    )
    for name, (wall, cpu) in {
        "warm": warm,
        "cold, cached kernels": (cold["wall_s"], cold["cpu_s"]),
        "cold, with imports": (cold["wall_s"] + cold["import_wall_s"], cold["cpu_s"] + cold["import_cpu_s"]),
        "first ever, compiling": (compiled["wall_s"], compiled["cpu_s"]),
    }.items():
        print(
            f"  ours {name}: {wall:.2f} s wall, {cpu:.2f} s CPU: {peer['wall_s'] / wall:.0f} times in wall, "
            f"{peer['cpu_s'] / cpu:.0f} times in CPU"
        )
    pixels = stable.size / 1e6
    print(f"  throughput {pixels / warm[0]:.1f} Mpx/s in wall on 2 threads, {pixels / warm[1]:.1f} Mpx per CPU second")
    cpu_s, peer_s = float(warm[1]), float(peer["cpu_s"])
    record(
        "coregistration",
        "cpu",
        claim="coregistration, warm, CPU time",
        ours=f"{cpu_s:.2f} s",
        peer=f"{peer_s:.1f} s, xDEM blockwise",
        ratio=cpu_s / peer_s,
        data="twin of a 20 m DEM",
    )
    for method, other in xdem_methods.items():
        print(f"  xDEM {method}: NMAD {other['nmad_m']:.2f}, {other['wall_s']:.1f} s wall, {other['cpu_s']:.1f} s CPU")
    assert peer_s / cpu_s >= 50


def test_a_wave_of_4_km_is_found(loaded):
    """Heights of the twin moved by one more wave: 5 m sideways and 3 m up, at 12 degrees."""
    from scipy.ndimage import map_coordinates

    reference, moving, stable, _ = loaded
    rows, cols = np.indices(moving.heights_m.shape, dtype=np.float64)
    pixel_m, angle = moving.geobox.resolution.x, np.radians(12.0)
    wave = np.sin(2 * np.pi * pixel_m * (cols * np.cos(angle) + rows * np.sin(angle)) / 4000.0)
    filled = np.nan_to_num(moving.heights_m.astype(np.float64), nan=float(np.nanmean(moving.heights_m)))
    heights = map_coordinates(filled, [rows, cols - 5.0 * wave / pixel_m], order=3, mode="nearest") + 3.0 * wave
    heights[np.isnan(moving.heights_m)] = np.nan
    bent = Raster(heights.astype(np.float32), moving.geobox, moving.frame, moving.surface)
    start = time.process_time()
    found = fit(reference, bent, stable, METHOD)
    cpu_s = time.process_time() - start
    plain = fit(reference, moving, stable, METHOD)
    dh = (reference.heights_m - found.apply(bent).heights_m)[stable]
    moved = [a - b for a, b in zip(*(r.displacement(reference.geobox) for r in (found, plain)), strict=True)]
    share = [abs(float((part * wave)[stable].sum() / (wave[stable] ** 2).sum())) for part in moved]
    print(f"\nof 5 m east {share[0]:.2f}, of 3 m up {share[2]:.2f} m; NMAD {nmad(dh):.3f} m, {cpu_s:.1f} CPU s")
    record(
        "coregistration-waves",
        "wave",
        claim="wave of 4 km, 5 m sideways and 3 m up, recovered by the default",
        ours=f"{100 * share[0] / 5:.0f}, {100 * share[2] / 3:.0f} %",
        data="twin of a 20 m DEM",
    )
    assert min(share[0] / 5, share[2] / 3) > 0.85


@pytest.mark.parametrize(("side", "kind"), [("2500", "full"), ("2500", "void"), ("5000", "full")])
def test_memory_is_a_few_tiles(side, kind):
    line = json_of([sys.executable, str(PEERS / "own_coregistration.py"), "memory", side, kind])
    print(f"\npeak above imports, {side} px {kind}: {line['tiles']:.2f} float32 tiles of {line['tile_mb']:.0f} MB")
    assert line["status"] == "converged"
    assert line["tiles"] <= 4.0


def test_bits_and_pieces(loaded):
    reference, moving, stable, _ = loaded
    one, two = (fit(reference, moving, stable, METHOD, threads=threads) for threads in (1, 2))
    assert one.field.lattice.tobytes() == two.field.lattice.tobytes()
    whole = one.apply(moving).heights_m
    assert whole.tobytes() == two.apply(moving, threads=2).heights_m.tobytes()
    worst = 0.0
    for row in range(0, whole.shape[0] - 100, 220):
        cut = slice(max(row - 40, 0), min(row + 140, whole.shape[0]))
        part = Raster(moving.heights_m[cut].copy(), moving.geobox[cut, :], moving.frame, moving.surface)
        piece = one.apply(part, moving.geobox[row : row + 100, :]).heights_m
        worst = max(worst, float(np.nanmax(np.abs(piece - whole[row : row + 100]))))
        np.testing.assert_array_equal(np.isnan(piece), np.isnan(whole[row : row + 100]))
    print(f"\nbitwise equal for 1 and 2 threads; chunked against whole {worst:.1e} m")
    assert worst <= 1e-4


def test_a_real_solution_is_recovered(shared):
    from scipy.ndimage import binary_dilation

    reference, _ = read_heights(shared("data/longyearbyen/aligned_elev_workflow.tif"))
    moving, _ = read_heights(shared("data/longyearbyen/DEM_1995_history.tif"))
    glacier = read_mask(shared("data/longyearbyen/glacier_mask_1990_from_workflow.tif"), reference)
    stable = ~binary_dilation(glacier, iterations=2)
    pair = prepare_pair(reference, moving, stable)
    print()
    for method, most in (("affine", 0.10), (METHOD, 0.10)):
        result = fit(pair.reference, pair.moving, pair.inliers, method)
        dh = (pair.reference.heights_m - result.apply(pair.moving, pair.reference.geobox).heights_m)[stable]
        print(f"xDEM's real LZD solution by {method}: residual NMAD {nmad(dh):.3f} m, median {np.nanmedian(dh):.4f} m")
        assert nmad(dh) <= most
