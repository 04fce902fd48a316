"""Training: alone or with others (`DataParallel`), deterministic by seed, with checkpoints that resume exactly."""

from __future__ import annotations

import csv
import hashlib
import json
import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from orograph.pipeline.core.precision import DEFAULT_PRECISION, Precision, body_dtype, check_trainable
from orograph.pipeline.core.progress import report as report_progress
from orograph.pipeline.core.torch_device import torch_device
from orograph.pipeline.errors import ConfigError, ModelError, OutOfMemory, SourceMissing
from orograph.pipeline.learning.superres.data_parallel import DataParallel
from orograph.pipeline.learning.superres.dataset import Batch, Mix, Sampler, Site, turned_copies
from orograph.pipeline.learning.superres.distillation import Teacher, digest_of
from orograph.pipeline.learning.superres.fit_linear import accumulated
from orograph.pipeline.learning.superres.muon import Muon
from orograph.pipeline.learning.superres.net2net import widened
from orograph.pipeline.sources.catalogue import Thinning
from orograph.pipeline.superres.interpolants import interpolant_kernels
from orograph.pipeline.superres.network import MODES, PRESETS, Preset, TerrainNet
from orograph.pipeline.superres.symmetry import Symmetry, is_symmetric
from orograph.pipeline.superres.weights import FORMAT, compact


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """Everything that shapes the weights besides the data.

    Attributes:
        preset: Size of the network: XS, S, M or L.
        factor: Fine pixels along a coarse pixel's side.
        steps: Optimiser steps.
        batch: Patches per step.
        patch_px: Side of a patch in coarse pixels.
        margin_px: Coarse pixels at a patch's rim excluded from the loss: their context is padding.
        rate: Peak of the learning rate, reached over `warmup` steps.
        decay_from: Share of the steps at which a cosine down to a hundredth of the peak begins. Other runs may start
            from a long run at the peak rate and only decay (`warmup` and `decay_from` small).
        average: Decay of the exponential moving average of the weights, which is saved.
        roughness_power: A patch's squared errors are divided by its base RMSE to this power.
        plain_from: Share of the steps after which robust errors give way to plain squares.
        mix: Shares of modes, noise and footprints.
        seed: Seed of everything drawn.
        precision: Of the body, `fp32` or `bf16`; validation uses the same.
        taught: Share of a teacher's output in the target; the rest is the truth.
        teacher: sha256 of the teachers' weights, joined by a plus; empty without one.
        unseen: Share of batches without fine truth, learnt from the teacher only; see `Sampler.unseen`.
        symmetric: Whether the network is rotation-equivariant; see `symmetry.py`.
    """

    preset: str = "S"
    factor: int = 3
    steps: int = 20_000
    batch: int = 7
    patch_px: int = 48
    margin_px: int = 8
    rate: float = 2e-3
    warmup: int = 200
    decay_from: float = 0.0
    average: float = 0.995
    roughness_power: float = 1.3
    plain_from: float = 0.75
    mix: Mix = field(default_factory=Mix)
    seed: int = 1
    precision: Precision = DEFAULT_PRECISION
    taught: float = 0.0
    teacher: str = ""
    unseen: float = 0.0
    symmetric: bool = True

    def __post_init__(self) -> None:
        if self.preset not in PRESETS:
            raise ConfigError(f"no preset is called {self.preset!r}", remedy=f"one of: {', '.join(PRESETS)}")
        if self.steps < 0 or self.batch < 1 or not 0 <= 2 * self.margin_px < self.patch_px:
            raise ConfigError(f"steps {self.steps}, batch {self.batch}, margin {self.margin_px} px")
        check_trainable(self.precision)
        if not 0 <= self.unseen <= 1 or (self.unseen > 0 and not self.teacher):
            raise ConfigError(f"a share of {self.unseen} without a truth", remedy="name a teacher that answers there")
        if not 0 <= self.taught <= 1 or (self.taught > 0) != bool(self.teacher):
            raise ConfigError(f"a share of {self.taught} for the teacher {self.teacher or 'none'}")

    def rate_at(self, step: int) -> float:
        """Learning rate at a step."""
        if step < self.warmup:
            return self.rate * (step + 1) / self.warmup
        begin = max(self.warmup, self.decay_from * self.steps)
        progress = max(0.0, step - begin) / max(1.0, self.steps - begin)
        return self.rate * (0.01 + 0.99 * 0.5 * (1.0 + math.cos(math.pi * min(1.0, progress))))

    def record(self) -> dict[str, Any]:
        """Return the plan stored with weights; it includes the network's shape, because presets may change."""
        return asdict(self) | {"network": asdict(PRESETS[self.preset])}


_LOG = logging.getLogger(__name__)
_DECAY = 0.3
"""Share of the learning rate by which the body's kernels shrink a step: few sites are learnt by heart otherwise."""

_HOLD_EVERY: Final = 50
"""Steps after which a symmetric network is freed of what rounding has added."""

ALONE: Final = DataParallel()
Validate = Callable[[nn.Module], dict[str, float]]
Report = Callable[[dict[str, float]], None]


def fit_bases(sampler: Sampler, draws: int = 400) -> Tensor:
    """Bases by mode: Keys' six taps for decimated input, the fitted linear filter for averaged input.

    Decimated samples leave a linear filter 0.3 points to gain over Keys' kernel, averaged ones over ten.
    """
    fit = accumulated(sampler, Thinning.AVERAGED, draws)
    kernels = (interpolant_kernels("keys6", sampler.factor), fit.kernels(Thinning.AVERAGED))
    return torch.from_numpy(np.stack(kernels)).float()


def pair_loss(
    net: TerrainNet,
    batch: Batch,
    plan: TrainingPlan,
    plain: bool,
    parallel: DataParallel = ALONE,
    aim: Tensor | None = None,
) -> tuple[Tensor, float]:
    """Weighted error of a batch relative to the base's, and the same for plain squares without gradient.

    The error is that against `aim` (the truth when None); the figure without gradient is always against the truth.

    Of a batch shared by several processes, the mean of each over the processes is that of the whole batch.
    """
    device = net.head.device
    coarse, fine = torch.from_numpy(batch.coarse).to(device), torch.from_numpy(batch.fine).to(device)
    noise_m = None if batch.noise_m is None else torch.from_numpy(batch.noise_m).to(device)
    dtype = body_dtype(plan.precision, str(device))
    base = net.base(coarse, batch.condition)
    features = net.features(coarse, noise_m, batch.condition, dtype)
    predicted = F.pixel_shuffle(base + net.correction(features, batch.condition), plan.factor)
    rim = plan.margin_px * plan.factor
    inner = (slice(None), slice(None), slice(rim, -rim or None), slice(rim, -rim or None))
    counts = torch.from_numpy(batch.valid).to(device)[inner].float()
    total = counts.sum(dim=(1, 2, 3)).clamp_min(1.0)
    error = (predicted - (fine if aim is None else aim))[inner]
    base_square = (((F.pixel_shuffle(base, plan.factor) - fine)[inner].square() * counts).sum(dim=(1, 2, 3))) / total
    scale = base_square.clamp_min(1e-6)
    square = error.square()
    missed = square.detach() if aim is None else (predicted.detach() - fine)[inner].square()
    relative = parallel.mean((missed * counts).sum()) / parallel.mean((base_square * total).sum()).clamp_min(1e-9)
    if not plain:
        ratio = square / scale[:, None, None, None]
        square = 2.0 * scale[:, None, None, None] * (torch.sqrt(1.0 + ratio) - 1.0)
    per_patch = (square * counts).sum(dim=(1, 2, 3)) / total
    weight = scale ** (-plan.roughness_power / 2.0)
    return (weight * per_patch).sum() / parallel.mean((weight * scale).sum()), float(relative)


class _Loss(nn.Module):
    """The loss as a module, which is what takes gradients from one process to another."""

    def __init__(self, net: TerrainNet, plan: TrainingPlan, parallel: DataParallel) -> None:
        super().__init__()
        self.net, self.plan, self.parallel = net, plan, parallel

    def forward(self, drawn: list[Batch], plain: bool, aim: Tensor | None = None) -> tuple[Tensor, float]:
        """See `pair_loss`."""
        return pair_loss(self.net, drawn[0], self.plan, plain, self.parallel, aim)


class Trainer:
    """State of a run: network, moving average, optimiser, step.

    Args:
        plan: Training plan.
        sites: Sites in memory.
        folder: Where checkpoints, curves and weights go; created if missing.
        device: Torch device.
        parallel: The processes that train together, each with its own trainer.
        teachers: Weights or checkpoints of the networks the plan names as its teacher.

    Raises:
        ConfigError: The teachers are not those of the plan, or the device is not available.
    """

    def __init__(
        self,
        plan: TrainingPlan,
        sites: Sequence[Site],
        folder: Path,
        device: str = "cpu",
        parallel: DataParallel = ALONE,
        teachers: Sequence[Path] = (),
    ) -> None:
        self.plan, self.folder, self.device, self.parallel = plan, folder, torch_device(device), parallel
        if (digest_of(teachers) if teachers else "") != plan.teacher:
            raise ConfigError("the teachers are not those of the plan", remedy="name the weights the run began with")
        self.teacher = (
            Teacher(
                tuple(trained((path,), plan.factor).to(self.device) for path in teachers),
                plan.taught,
                plan.seed,
                plan.precision,
            )
            if teachers
            else None
        )
        folder.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(plan.seed)
        copies = [copy for site in sites if (copy := turned_copies(site, plan.seed)) is not None]
        self.sampler = Sampler([*sites, *copies], plan.factor, plan.patch_px, plan.batch, plan.mix, plan.seed)
        if self.sampler.idle:
            side = plan.factor * plan.patch_px
            _LOG.warning(
                "no patch of %d pixels fits into %s: training does not use it", side, ", ".join(self.sampler.idle)
            )
        self.step = 0
        self.rows: list[dict[str, float]] = []
        bases = fit_bases(self.sampler) if not self.checkpoint.exists() else _blank_bases(plan.factor)
        self.net = TerrainNet(PRESETS[plan.preset], plan.factor, bases).to(self.device)
        self.symmetry = Symmetry(self.net) if plan.symmetric else None
        if self.symmetry is not None:
            self.symmetry.begin(self.net)
        self.average = TerrainNet(PRESETS[plan.preset], plan.factor, bases.clone()).to(self.device)
        self.average.load_state_dict(self.net.state_dict())
        self.average.requires_grad_(False)
        kernels = [kernel for block in self.net.blocks() for kernel in (block.first, block.second)]
        others = [p for p in self.net.parameters() if all(p is not kernel for kernel in kernels)]
        self.optimisers: tuple[torch.optim.Optimizer, ...] = (
            Muon(kernels, lr=plan.rate, decay=_DECAY),
            torch.optim.Adam(others, lr=plan.rate, betas=(0.9, 0.98), fused=True),
        )
        self._loss = parallel.wrap(_Loss(self.net, plan, parallel))

    @property
    def checkpoint(self) -> Path:
        """Path of the run's state."""
        return self.folder / "checkpoint.safetensors"

    def start_from(self, *weights: Path) -> None:
        """Begin with trained weights or the averaged ones of a checkpoint; their bases come along.

        Of several (branches of one trunk) it is their mean, which generalises better than each. Those of a smaller
        network grow into this one.

        Raises:
            ConfigError: They fit neither this network nor a smaller one it could grow from, or not each other, or are not
                symmetric where the plan is.
        """
        begin = trained(weights, self.plan.factor)
        if self.symmetry is not None and not is_symmetric(begin):
            raise ConfigError(
                f"{', '.join(map(str, weights))}: the weights are not rotation-equivariant, but the network is",
                remedy="use --free, or start from rotation-equivariant weights; any weights may be the teacher",
            )
        if begin.preset != self.net.preset:
            begin = widened(begin, self.net.preset)
            if self.symmetry is not None:
                self.symmetry.hold(begin)
        self.net.load_state_dict(begin.state_dict())
        self.average.load_state_dict(self.net.state_dict())

    def resume(self) -> bool:
        """Continue from the checkpoint, if there is one.

        Raises:
            ConfigError: The checkpoint belongs to another plan.
        """
        if not self.checkpoint.exists():
            return False
        with safe_open(self.checkpoint, "pt") as handle:
            meta = json.loads(handle.metadata()["state"])
            if meta["plan"] != asdict(self.plan):
                raise ConfigError(f"{self.checkpoint} belongs to another plan", remedy="choose another folder")
            tensors = {key: handle.get_tensor(key) for key in handle.keys()}  # noqa: SIM118 - no mapping
        self.net.load_state_dict(_below(tensors, "net."))
        self.average.load_state_dict(_below(tensors, "average."))
        for index, optimiser in enumerate(self.optimisers):
            state: dict[int, dict[str, Tensor]] = {}
            for key, tensor in _below(tensors, f"optimiser{index}.").items():
                name, parameter = key.rsplit(".", 1)
                state.setdefault(int(parameter), {})[name] = tensor
            optimiser.load_state_dict({**optimiser.state_dict(), "state": state})
        self.step, self.rows = meta["step"], meta["rows"]
        return True

    def save(self) -> None:
        """Write the checkpoint, whole or not at all."""
        tensors = {f"net.{k}": v for k, v in self.net.state_dict().items()}
        tensors |= {f"average.{k}": v for k, v in self.average.state_dict().items()}
        for index, optimiser in enumerate(self.optimisers):
            for parameter, entry in optimiser.state_dict()["state"].items():
                tensors |= {f"optimiser{index}.{name}.{parameter}": tensor for name, tensor in entry.items()}
        state = {"plan": asdict(self.plan), "step": self.step, "rows": self.rows}
        part = self.checkpoint.with_suffix(".part")
        save_file({k: v.contiguous() for k, v in tensors.items()}, part, {"state": json.dumps(state)})
        part.replace(self.checkpoint)

    def run(
        self,
        validate: Validate | None = None,
        report: Report | None = None,
        every: int = 1000,
        until: int | None = None,
    ) -> nn.Module:
        """Train to the plan's end (or `until`), with checkpoints, and return the averaged network.

        Raises:
            ModelError: The loss became NaN; the last checkpoint is from before.
            OutOfMemory: The device has no memory for a step; likewise.
        """
        self.net.train()
        window: dict[str, list[float]] = {mode.value: [] for mode in MODES}
        started, burnt = time.perf_counter(), time.process_time()
        last = min(self.plan.steps, until or self.plan.steps)
        while self.step < last:
            try:
                self._one(window)
            except torch.OutOfMemoryError as error:
                raise OutOfMemory(
                    f"{self.device} has no memory for a step of {self.plan.batch} patches",
                    remedy="fewer patches a step (--batch), or smaller ones (--patch)",
                ) from error
            report_progress("training", self.step, last)
            if self.step % every == 0 or self.step == last:
                row = {"step": float(self.step), "rate": self.plan.rate_at(self.step)}
                row |= {
                    f"relative_mse_{mode}": float(np.mean(values)) if values else math.nan
                    for mode, values in window.items()
                }
                row |= {"wall_s": time.perf_counter() - started, "cpu_s": time.process_time() - burnt}
                window = {mode.value: [] for mode in MODES}
                if not self.parallel.is_rank_zero:
                    continue
                if validate is not None:
                    row |= validate(self.average)
                self.rows.append(row)
                self.save()
                write_curves(self.rows, self.folder)
                if report is not None:
                    report(row)
        return self.average

    def _one(self, window: dict[str, list[float]]) -> None:
        for optimiser in self.optimisers:
            for group in optimiser.param_groups:
                group["lr"] = self.plan.rate_at(self.step)
        own, aim, known = self._lesson()
        plain = self.step >= self.plan.plain_from * self.plan.steps
        loss, relative = self._loss([own], plain, aim)
        if not math.isfinite(relative):
            raise ModelError(f"the loss is {relative} at step {self.step}", remedy="lower the learning rate")
        self.net.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        if self.symmetry is not None:
            self.symmetry.guide(self.net)
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        for optimiser in self.optimisers:
            optimiser.step()
        if self.symmetry is not None and (self.step % _HOLD_EVERY == 0 or self.step + 1 == self.plan.steps):
            self.symmetry.hold(self.net)
        decay = min(self.plan.average, (1.0 + self.step) / (10.0 + self.step))
        with torch.no_grad():
            for mine, theirs in zip(self.average.parameters(), self.net.parameters(), strict=True):
                mine.lerp_(theirs, 1.0 - decay)
        if known and own.noise_m is None:
            window[own.condition.thinning.value].append(relative)
        self.step += 1

    def _lesson(self) -> tuple[Batch, Tensor | None, bool]:
        """This step's batch, what is aimed at (the truth when None), and whether there is a truth."""
        unseen = _drawn(self.plan, self.step) < self.plan.unseen
        batch = self.sampler.unseen(self.step) if unseen else self.sampler.draw(self.step)
        own = self.parallel.share(batch)
        if self.teacher is None:
            return own, None, True
        if unseen:
            return replace(own, fine=self.teacher.answer(own, self.step).cpu().numpy()), None, False
        return own, self.teacher.aim(own, self.step), True

    def export(self, path: Path, about: dict[str, Any], extra: dict[str, Tensor] | None = None) -> str:
        """Write the averaged weights with their description, and `extra` tensors (error head, gate).

        Returns:
            The file's sha256; read it with `orograph.pipeline.superres.weights`.
        """
        if self.symmetry is not None:
            self.symmetry.hold(self.average)
        tensors = compact(self.average.state_dict() | (extra or {}))
        meta = {"plan": json.dumps(self.plan.record()), "about": json.dumps(about), "format": FORMAT}
        save_file(tensors, path, meta)
        return hashlib.sha256(path.read_bytes()).hexdigest()


def _drawn(plan: TrainingPlan, step: int) -> float:
    """A number in [0, 1) by seed and step, the same in all processes."""
    return float(np.random.default_rng((plan.seed, step, 2)).random())


def write_curves(rows: Sequence[dict[str, float]], folder: Path) -> None:
    """The run's figures so far as `curves.csv`."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    part = folder / "curves.csv.part"
    with part.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, names)
        writer.writeheader()
        writer.writerows({k: round(v, 6) for k, v in row.items()} for row in rows)
    part.replace(folder / "curves.csv")


def trained(weights: Sequence[Path], factor: int) -> TerrainNet:
    """Return the network of weights or of a checkpoint's average; for several, their mean.

    Raises:
        SourceMissing, ModelError: The file does not exist, or contains no tensors.
        ConfigError: They are not of one known preset.
    """
    loaded = [_tensors(path) for path in weights]
    loaded = [tensors | _below(tensors, "average.") for tensors in loaded]
    preset = _preset_of(loaded[0])
    if any(_preset_of(tensors) != preset for tensors in loaded):
        raise ConfigError("the mean of networks of different presets", remedy="start from branches of one trunk")
    net = TerrainNet(preset, factor, loaded[0]["bases"].clone())
    means = {name: torch.stack([each[name].float() for each in loaded]).mean(dim=0) for name in net.state_dict()}
    net.load_state_dict(means)
    return net


def _tensors(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise SourceMissing(f"no weights at {path}", source=str(path))
    try:
        return load_file(path)
    except SafetensorError as error:
        raise ModelError(f"weights {path} do not parse: {error}", remedy="a .safetensors file is wanted") from error


def _below(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key[len(prefix) :]: value for key, value in tensors.items() if key.startswith(prefix)}


def _preset_of(tensors: dict[str, Tensor]) -> Preset:
    """The preset whose network has tensors of these shapes."""
    depth = len([name for name in tensors if name.startswith("body.") and name.endswith(".first")])
    channels = tensors["head"].shape[1] if "head" in tensors else 0
    for preset in PRESETS.values():
        if (preset.channels, len(preset.dilations)) == (channels, depth):
            return preset
    raise ConfigError(f"weights of {depth} blocks of {channels} channels", remedy=f"presets: {', '.join(PRESETS)}")


def _blank_bases(factor: int) -> Tensor:
    size = interpolant_kernels("keys6", factor).shape[-1]
    return torch.zeros(len(MODES), factor * factor, size, size)
