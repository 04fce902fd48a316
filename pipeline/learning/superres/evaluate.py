"""Evaluation: decimates or averages measured heights, upsamples them by every method, and compares the results."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from orograph.pipeline.core.precision import DEFAULT_PRECISION, Precision
from orograph.pipeline.core.progress import tracked
from orograph.pipeline.core.raster import BoolArray, FloatArray
from orograph.pipeline.core.weights_uri import Read
from orograph.pipeline.errors import ConfigError, InputError
from orograph.pipeline.learning.superres.baseline_networks import FORMAT, baseline_resolver
from orograph.pipeline.learning.superres.dataset import read_heights
from orograph.pipeline.learning.superres.degrade import cropped, pool, thin
from orograph.pipeline.learning.superres.fit_linear import fit_on_pairs
from orograph.pipeline.learning.superres.metrics import (
    BORDER_PX,
    SLOPE_CLASSES_DEG,
    TILE_PX,
    TileFigures,
    blocks_worse,
    counted,
    figures,
    pooled,
    squares_by_slope,
)
from orograph.pipeline.learning.superres.opendem_vdsr import OpenDemVdsr
from orograph.pipeline.sources.catalogue import Thinning
from orograph.pipeline.sources.single_raster import opened_heights
from orograph.pipeline.superres.best_linear import FORMAT as LINEAR_FORMAT
from orograph.pipeline.superres.best_linear import NAME as BEST_LINEAR
from orograph.pipeline.superres.best_linear import LinearFilter, bundled_linear
from orograph.pipeline.superres.interpolants import INTERPOLANTS
from orograph.pipeline.superres.resolver import Resolver
from orograph.pipeline.superres.resolvers import resolver
from orograph.pipeline.superres.thinning_evidence import accepted_thinning

REFERENCE: Final = "gdal-cubic"
_LEAST_PX: Final = 2 * BORDER_PX + 30


@dataclass(frozen=True, slots=True, eq=False)
class EvaluationTile:
    """Measured heights to reconstruct.

    Attributes:
        name: Raster, phase and place.
        fine_m: float32, sides divisible by the factor, NaN is void.
        pixel_size_m: Size of a pixel along columns and rows, metres.
    """

    name: str
    fine_m: FloatArray
    pixel_size_m: tuple[float, float]


def tiles_of(
    path: Path, factor: int, reference_m: float | None, by: Literal["decimation", "mean"] = "decimation"
) -> list[EvaluationTile]:
    """Tiles of a raster in OpenDEM's manner: up to 300 x 300 pixels, each reconstructed separately.

    Args:
        path: Raster of heights.
        factor: Sides are cut to multiples of it.
        reference_m: Pixel size to resample the heights to first, or None for the native size.
        by: Take every n-th sample (each of the n x n phases is a raster of its own), or means of n x n.

    Raises:
        ConfigError: The requested pixel size is finer than the raster's.
        InputError: The raster is smaller than a tile's border and one block.
    """
    heights = read_heights(path)
    with opened_heights(path) as raster:
        size = raster.pixel_size_m
    steps = (1, 1)
    if reference_m is not None:
        steps = (round(reference_m / size[1]), round(reference_m / size[0]))
        if min(steps) < 1:
            raise ConfigError(f"{path.name} has pixels of {min(size):.3g} m: {reference_m:g} m is finer than measured")
    mode = Thinning.DECIMATED if by == "decimation" else Thinning.AVERAGED
    phases = [(i, j) for i in range(steps[0]) for j in range(steps[1])] if by == "decimation" else [(0, 0)]
    out = []
    for phase in phases:
        level = cropped(pool(heights, *steps, mode, phase), factor)
        level_size = (size[0] * steps[1], size[1] * steps[0])
        side = TILE_PX // factor * factor
        for row in range(0, level.shape[0], side):
            for column in range(0, level.shape[1], side):
                part = np.ascontiguousarray(level[row : row + side, column : column + side])
                if min(part.shape) >= _LEAST_PX and counted(np.isfinite(part)).sum() >= 900:
                    out.append(EvaluationTile(f"{path.stem} {phase[0]}{phase[1]} {row},{column}", part, level_size))
    if not out:
        raise InputError(f"{path} does not contain a tile of {_LEAST_PX} pixels with heights", source=str(path))
    return out


@dataclass(slots=True)
class _Tally:
    """Sums of one method over tiles."""

    tiles: list[TileFigures] = field(default_factory=list)
    worse: int = 0
    blocks: int = 0
    slopes: list[list[tuple[float, int]]] = field(default_factory=list)
    covered: list[tuple[int, int, int]] = field(default_factory=list)


Listener = Callable[[str, EvaluationTile, FloatArray], None]


def evaluate(
    tiles: Sequence[EvaluationTile],
    methods: Mapping[str, Resolver],
    factor: int,
    thinning: Thinning,
    declared: Mapping[str, Thinning] | None = None,
    listener: Listener | None = None,
) -> dict[str, Any]:
    """Return error measures of every method over all tiles, JSON-ready.

    Args:
        tiles: Measured heights.
        methods: Resolvers by reported name; GDAL's cubic is added as the reference.
        factor: Fine pixels along a coarse pixel's side.
        thinning: How to decimate or average the tiles.
        declared: Declared mode of methods that are given the wrong one.
        listener: Called with method, tile and computed heights.
    """
    tallies = {name: _Tally() for name in (REFERENCE, *(m for m in methods if m != REFERENCE))}
    reference = resolver(REFERENCE)
    for tile in tracked(tiles, "evaluating tiles"):
        coarse = thin(tile.fine_m, factor, thinning)
        coarse_size = (tile.pixel_size_m[0] * factor, tile.pixel_size_m[1] * factor)
        cubic, _ = reference(coarse, factor=factor)
        mask = counted(np.isfinite(tile.fine_m) & np.isfinite(cubic))
        for name, tally in tallies.items():
            mode = (declared or {}).get(name, thinning)
            method = methods.get(name, reference)
            if not name.endswith("unguarded"):
                mode = accepted_thinning(mode, coarse)
            fine, sigma = method(coarse, factor=factor, thinning=mode, pixel_size_m=coarse_size)
            _count(tally, method, fine, sigma=sigma, cubic=cubic, tile=tile, mask=mask, factor=factor, mode=mode)
            if listener is not None:
                listener(name, tile, fine)
    return {
        "factor": factor,
        "thinning": thinning.value,
        "tiles": len(tiles),
        "pixels": pooled(tallies[REFERENCE].tiles).pixels,
        "methods": {name: _summary(tally, tallies[REFERENCE]) for name, tally in tallies.items()},
    }


def _count(
    tally: _Tally,
    method: Resolver,
    fine: FloatArray,
    *,
    sigma: FloatArray | None,
    cubic: FloatArray,
    tile: EvaluationTile,
    mask: BoolArray,
    factor: int,
    mode: Thinning,
) -> None:
    tally.tiles.append(figures(fine, tile.fine_m, mask, tile.pixel_size_m))
    worse, blocks = blocks_worse(fine, cubic, tile.fine_m, mask)
    tally.worse, tally.blocks = tally.worse + worse, tally.blocks + blocks
    tally.slopes.append(squares_by_slope(fine, tile.fine_m, mask, tile.pixel_size_m))
    if sigma is None:
        return
    free = mask.copy()
    if mode is Thinning.DECIMATED and factor % 2:
        free[factor // 2 :: factor, factor // 2 :: factor] = False  # reproduced samples do not test the band
    error = np.abs(fine - tile.fine_m)[free]
    wide = getattr(method, "wide_ratio", lambda _: 1.96)(mode)
    band = sigma[free]
    tally.covered.append((int((error <= band).sum()), int((error <= wide * band).sum()), int(free.sum())))


def _summary(tally: _Tally, reference: _Tally) -> dict[str, Any]:
    all_tiles, base = pooled(tally.tiles), pooled(reference.tiles)
    per_tile = [(a.rmse_m, b.rmse_m, a.mae_m, b.mae_m) for a, b in zip(tally.tiles, reference.tiles, strict=True)]
    out: dict[str, Any] = {
        **{k: round(v, 6) for k, v in all_tiles.to_dict().items() if k != "pixels"},
        "gain_rmse_percent": _gain(all_tiles.rmse_m, base.rmse_m),
        "gain_mae_percent": _gain(all_tiles.mae_m, base.mae_m),
        "gain_slope_rmse_percent": _gain(all_tiles.slope_rmse_deg, base.slope_rmse_deg),
        "mean_of_tiles": {
            "rmse_m": round(float(np.mean([a for a, *_ in per_tile])), 6),
            "mae_m": round(float(np.mean([t[2] for t in per_tile])), 6),
            "gain_rmse_percent": _gain(
                float(np.mean([t[0] for t in per_tile])), float(np.mean([t[1] for t in per_tile]))
            ),
        },
        "tiles_won": {
            "rmse": sum(a < b for a, b, *_ in per_tile),
            "mae": sum(a < b for *_, a, b in per_tile),
            "ssim": sum(a.ssim > b.ssim for a, b in zip(tally.tiles, reference.tiles, strict=True)),
        },
        "blocks_worse_percent": round(100.0 * tally.worse / tally.blocks, 2) if tally.blocks else None,
        "gain_rmse_percent_by_slope_deg": dict(_by_slope(tally, reference)),
    }
    if tally.covered:
        narrow, wide, total = np.sum(tally.covered, axis=0)
        out["coverage_percent"] = {
            "68": round(100.0 * float(narrow / total), 2),
            "95": round(100.0 * float(wide / total), 2),
        }
    return out


def _by_slope(tally: _Tally, reference: _Tally) -> Iterator[tuple[str, float]]:
    own, base = np.sum(tally.slopes, axis=0), np.sum(reference.slopes, axis=0)
    for k, (low, high) in enumerate(pairwise(SLOPE_CLASSES_DEG)):
        if base[k, 1] > 0 and base[k, 0] > 0:
            yield f"{low:g}-{high:g}", _gain(float(np.sqrt(own[k, 0])), float(np.sqrt(base[k, 0])))


def _gain(value: float, reference: float) -> float:
    return round(100.0 * (1.0 - value / reference), 3) if reference > 0 else 0.0


def best_linear(fit_on: Sequence[EvaluationTile], factor: int, thinning: Thinning) -> Resolver | None:
    """Return the best linear filter: fitted on given tiles, otherwise the bundled one, which is for x3 only.

    Raises:
        ConfigError: Every neighbourhood of the tiles contains a void.
    """
    if fit_on:
        fine = [cropped(tile.fine_m, factor) for tile in fit_on]
        return fit_on_pairs(((thin(heights, factor, thinning), heights) for heights in fine), factor, thinning)
    bundled = bundled_linear()
    return bundled if factor == bundled.factor else None


def line_up(
    names: Sequence[str],
    thinning: Thinning,
    factor: int,
    *,
    fetch: Read | None = None,
    ensemble: bool = False,
    wrong_mode: bool = False,
    opendem: Path | None = None,
    precision: Precision = DEFAULT_PRECISION,
    linear: Resolver | None = None,
) -> tuple[dict[str, Resolver], dict[str, Thinning]]:
    """Return every interpolant, the best linear filter if given, and all variants of each named network.

    Variants are: as bundled, with its gate, the ensemble, and with the wrong thinning mode.

    With the wrong mode, a network is run twice: with the check of the declaration against the heights, and without.

    `fetch` reads weights that are neither bundled nor local files.

    Returns:
        Resolvers by reported name, and the declared mode of those that are given the wrong one.
    """
    methods: dict[str, Resolver] = {name: resolver(name) for name in INTERPOLANTS}
    if linear is not None:
        methods[BEST_LINEAR] = linear
    declared: dict[str, Thinning] = {}
    other = next(mode for mode in Thinning if mode is not thinning)
    if opendem is not None:
        methods["opendem-vdsr"] = OpenDemVdsr.read(opendem)
        if ensemble:
            methods["opendem-vdsr x8"] = OpenDemVdsr.read(opendem, ensemble=True)
    for name in names:
        if name in methods:
            continue
        label = Path(name.partition("#")[0]).stem
        if (earlier := _baseline(name)) is not None:
            methods[label] = earlier
            continue
        methods |= _variants(
            label, factor, partial(resolver, name, fetch=fetch, precision=precision), ensemble=ensemble
        )
        if wrong_mode and getattr(methods[label], "factor", factor) == factor:
            for suffix in ("", " unguarded"):
                methods[f"{label} as {other.value}{suffix}"] = methods[label]
                declared[f"{label} as {other.value}{suffix}"] = other
    return methods, declared


def _variants(label: str, factor: int, make: Callable[..., Resolver], *, ensemble: bool) -> dict[str, Resolver]:
    """Return a network as bundled and with its gate, alone and as the ensemble."""
    up = make()
    out = {label: up}
    if getattr(up, "factor", factor) != factor:
        return out
    gates = [False, True] if getattr(up, "has_gate", False) else [False]
    for x8 in (False, True) if ensemble else (False,):
        for gate in gates:
            full = label + (" x8" if x8 else "") + (" gated" if gate else "")
            out[full] = make(ensemble=x8, gate=gate)
    return out


def _baseline(name: str) -> Resolver | None:
    """Return the baseline in a weights file; None if the name does not denote one."""
    path = Path(name)
    if path.suffix != ".safetensors" or not path.exists():
        return None
    start = path.read_bytes()[:8192]
    if LINEAR_FORMAT.encode() in start:
        return LinearFilter.read(path)
    return baseline_resolver(path) if FORMAT.encode() in start else None
