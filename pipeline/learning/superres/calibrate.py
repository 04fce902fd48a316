"""The error head on a frozen network, its bands and the gate, calibrated on held-out sites."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it
from torch import Tensor

from orograph.pipeline.core.precision import DEFAULT_PRECISION, Precision
from orograph.pipeline.core.progress import tracked
from orograph.pipeline.core.raster import FloatArray
from orograph.pipeline.errors import ModelError
from orograph.pipeline.learning.superres.dataset import Mix, Sampler
from orograph.pipeline.learning.superres.metrics import blocks_worse
from orograph.pipeline.learning.superres.training_plan import TrainingPlan
from orograph.pipeline.learning.superres.validate import HeldOutSites, TrainingValidation
from orograph.pipeline.sources.catalogue import Thinning
from orograph.pipeline.superres.error_head import ErrorHead, laplace_loss
from orograph.pipeline.superres.inference import InferenceOptions, NetResolver
from orograph.pipeline.superres.network import MODES, PRESETS, TerrainNet
from orograph.pipeline.superres.significance_gate import Gate
from orograph.pipeline.superres.symmetry import Symmetry, is_symmetric
from orograph.pipeline.superres.weights import Weights

BANDS: Final = (0.68, 0.95)
WORSE_TARGET: Final = 0.04
"""Target share of 30 x 30 blocks worse than cubic on held-out terrain; one point below the documented share."""

_RATIOS: Final = (0.0, 0.05, 0.08, 0.1, 0.12, 0.15, 0.2, 0.25, 0.3)
_OPENINGS: Final = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4)


def fit_error_head(
    net: TerrainNet, sampler: Sampler, steps: int, seed: int, precision: Precision = DEFAULT_PRECISION
) -> Tensor:
    """Train the error head by the Laplace likelihood on a frozen network, on its device.

    Returns:
        The head's kernels before softplus, on the processor.
    """
    torch.manual_seed(seed)
    device = net.head.device
    head = ErrorHead(net.factor, net.preset.channels).to(device)
    optimiser = torch.optim.Adam(head.parameters(), lr=0.05)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, max(1, steps))
    # Decimation by an even factor would shift the grid: such networks support averaging only.
    mix = Mix(noisy=0.05, wide=0.0) if net.factor % 2 else Mix(averaged=1.0, noisy=0.05, wide=0.0)
    draws = Sampler(sampler.sites, sampler.factor, sampler.patch_px, sampler.batch, mix, seed + 1)
    rim = 3 * net.factor
    for step in tracked(range(steps), "fitting the error head"):
        batch = draws.draw(step)
        condition = batch.condition
        coarse, fine = torch.from_numpy(batch.coarse).to(device), torch.from_numpy(batch.fine).to(device)
        with torch.no_grad():
            noise_m = None if batch.noise_m is None else torch.from_numpy(batch.noise_m).to(device)
            features = net.features(coarse, noise_m, condition, precision)
            correction = net.correction(features, condition, precision)
            error = F.pixel_shuffle(net.base(coarse, condition) + correction, net.factor) - fine
            counts = torch.from_numpy(batch.valid).to(device).float()
            if condition.thinning is Thinning.DECIMATED and condition.consistent and net.factor % 2:
                counts[..., net.factor // 2 :: net.factor, net.factor // 2 :: net.factor] = 0.0
        scale = F.pixel_shuffle(head(features, condition), net.factor)
        inner = (..., slice(rim, -rim), slice(rim, -rim))
        loss = laplace_loss(error[inner], scale[inner], counts[inner])
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        optimiser.step()
        schedule.step()
    kernels = head.weight.detach()
    return (Symmetry(net).mean("error", kernels) if is_symmetric(net) else kernels).cpu()


def fit_error_and_gate(
    net: torch.nn.Module,
    sampler: Sampler,
    validation: TrainingValidation | None,
    steps: int,
    seed: int,
    precision: Precision = DEFAULT_PRECISION,
) -> dict[str, Tensor]:
    """Return tensors of the error head, its bands and the gate, to be stored with the network's.

    Without held-out sites the bands are those of the Laplace distribution and no gate is stored: training terrain
    cannot calibrate either.
    """
    if not isinstance(net, TerrainNet):
        raise ModelError(f"{type(net).__name__} has no features to take errors from")
    tensors = {"error.weight": fit_error_head(net, sampler, steps, seed, precision)}
    laplace = [-float(np.log(1.0 - band)) for band in BANDS]
    tensors["error.multiples"] = torch.tensor([[laplace, laplace]] * len(MODES))
    if validation is None:
        return tensors
    tensors["error.multiples"] = calibrated_bands(net, tensors, validation, precision)
    tensors["gate.thresholds"] = calibrated_gate(net, tensors, validation, precision)
    return tensors


def calibrated_bands(
    net: TerrainNet,
    tensors: dict[str, Tensor],
    validation: TrainingValidation,
    precision: Precision = DEFAULT_PRECISION,
) -> Tensor:
    """Multiples of the scale whose bands cover 68 % and 95 % of held-out pixels, shape (modes, 2, 2)."""
    unit = tensors | {"error.multiples": torch.ones(len(MODES), 2, 2)}
    out = torch.zeros(len(MODES), 2, 2)
    for k, ensemble in enumerate((False, True)):
        up = _resolver(net, unit, ensemble, precision)
        ratios: dict[Thinning, list[npt.NDArray[np.float32]]] = {mode: [] for mode in MODES}
        for raster in validation.rasters:
            fine, scale = _predicted(up, raster, net.factor)
            mask = raster.mask.copy()
            if raster.thinning is Thinning.DECIMATED and net.factor % 2:
                mask[net.factor // 2 :: net.factor, net.factor // 2 :: net.factor] = False
            ratios[raster.thinning].append((np.abs(fine - raster.fine_m) / scale)[mask])
        for m, mode in enumerate(MODES):
            # Rasters have equal weight: the finest level of a site has most of its pixels, but the least information.
            shares = [np.full(values.size, 1.0 / values.size) for values in ratios[mode]]
            if shares:
                values, weights = np.concatenate(ratios[mode]), np.concatenate(shares)
                out[m, k] = torch.from_numpy(_weighted_quantile(values, weights, BANDS))
    return out


def calibrated_gate(
    net: TerrainNet,
    tensors: dict[str, Tensor],
    validation: TrainingValidation,
    precision: Precision = DEFAULT_PRECISION,
) -> Tensor:
    """Thresholds by mode, shape (modes, 2), that keep the most gain while few blocks are worse than cubic."""
    up = _resolver(net, tensors, ensemble=False, precision=precision)
    out = torch.tensor([[0.0, 1.0]] * len(MODES))
    for m, mode in enumerate(MODES):
        rasters = [raster for raster in validation.rasters if raster.thinning is mode]
        made = [(raster, *_predicted(up, raster, net.factor)) for raster in rasters]
        best = (np.inf, np.inf, 0.0, 1.0)
        for ratio, opening in _candidates() if made else ():
            gate = Gate((ratio,) * len(MODES), (opening,) * len(MODES))
            gated = [(raster, gate(fine, raster.cubic_m, sigma, net.factor, mode)[0]) for raster, fine, sigma in made]
            worse, error = _judged(gated)
            # If no gate reaches the target, the smallest share of worse blocks wins, then the smallest error.
            best = min(best, (max(worse, WORSE_TARGET), error, ratio, opening))
        out[m] = torch.tensor(best[2:])
    return out


def _weighted_quantile(
    values: npt.NDArray[np.float32], weights: npt.NDArray[np.float64], at: tuple[float, ...]
) -> npt.NDArray[np.float64]:
    order = np.argsort(values)
    cumulated = np.cumsum(weights[order])
    places = np.searchsorted(cumulated, np.array(at) * cumulated[-1])
    return values[order][np.minimum(places, values.size - 1)].astype(np.float64)


def _candidates() -> Iterator[tuple[float, float]]:
    for ratio in _RATIOS:
        for opening in _OPENINGS:
            yield ratio, opening


def _judged(made: list[tuple[HeldOutSites, FloatArray]]) -> tuple[float, float]:
    """Share of blocks worse than cubic, and squared error relative to cubic's, both the mean over rasters."""
    shares, errors = [], []
    for raster, fine in made:
        bad, blocks = blocks_worse(fine, raster.cubic_m, raster.fine_m, raster.mask)
        shares.append(bad / max(blocks, 1))
        own = np.square(fine - raster.fine_m)[raster.mask].sum()
        errors.append(float(own / np.square(raster.cubic_m - raster.fine_m)[raster.mask].sum()))
    return float(np.mean(shares)), float(np.mean(errors))


def _resolver(net: TerrainNet, tensors: dict[str, Tensor], ensemble: bool, precision: Precision) -> NetResolver:
    preset = next(name for name, preset in PRESETS.items() if preset == net.preset)
    plan = TrainingPlan(preset=preset, factor=net.factor).record()
    state = {k: v.detach().cpu() for k, v in net.state_dict().items()}
    own = {k: v for k, v in tensors.items() if k.startswith("error.")}
    return NetResolver(preset, Weights(preset, "", state | own, plan, {}), InferenceOptions(ensemble, precision))


def _predicted(up: NetResolver, raster: HeldOutSites, factor: int) -> tuple[FloatArray, FloatArray]:
    rim = (raster.coarse_m.shape[0] - raster.fine_m.shape[0] // factor) // 2
    fine, sigma = up(raster.coarse_m, factor=factor, thinning=raster.thinning)
    if sigma is None:
        raise ModelError("the network has no error head")
    cut = slice(rim * factor, -rim * factor)
    return np.ascontiguousarray(fine[cut, cut]), np.ascontiguousarray(sigma[cut, cut])
