"""Trains a network in one process or several (`DataParallel`), deterministic by seed, with exact resumption."""

from __future__ import annotations

import csv
import hashlib
import json
import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from orograph.pipeline.core.precision import convolutions
from orograph.pipeline.core.progress import report as report_progress
from orograph.pipeline.core.torch_device import torch_device
from orograph.pipeline.errors import ConfigError, ModelError, OutOfMemory
from orograph.pipeline.learning.superres.data_parallel import DataParallel
from orograph.pipeline.learning.superres.dataset import Batch, Sampler, Site, turned_copies
from orograph.pipeline.learning.superres.distillation import Teacher, digest_of
from orograph.pipeline.learning.superres.fit_linear import accumulated
from orograph.pipeline.learning.superres.loss import ALONE, Loss
from orograph.pipeline.learning.superres.muon import Muon
from orograph.pipeline.learning.superres.net2net import widened
from orograph.pipeline.learning.superres.trained_weights import below, trained
from orograph.pipeline.learning.superres.training_plan import TrainingPlan
from orograph.pipeline.sources.catalogue import Thinning
from orograph.pipeline.superres.interpolants import interpolant_kernels
from orograph.pipeline.superres.network import MODES, PRESETS, TerrainNet
from orograph.pipeline.superres.symmetry import Symmetry, is_symmetric
from orograph.pipeline.superres.weights import FORMAT, compact

_LOG = logging.getLogger(__name__)
_DECAY = 0.3
"""Share of the learning rate by which the body's kernels shrink a step: few sites are learnt by heart otherwise."""

_HOLD_EVERY: Final = 50
"""Steps after which a symmetric network is freed of what rounding has added."""

Validate = Callable[[nn.Module], dict[str, float]]
Report = Callable[[dict[str, float]], None]


def fit_bases(sampler: Sampler, draws: int = 400) -> Tensor:
    """Bases by mode: Keys' six taps for decimated input, the fitted linear filter for averaged input.

    For decimated samples a linear filter gains 0.3 percentage points over Keys' kernel, for averaged ones more than
    ten.
    """
    fit = accumulated(sampler, Thinning.AVERAGED, draws)
    kernels = (interpolant_kernels("keys6", sampler.factor), fit.kernels(Thinning.AVERAGED))
    return torch.from_numpy(np.stack(kernels)).float()


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
        self._loss = parallel.wrap(Loss(self.net, plan, parallel))

    @property
    def checkpoint(self) -> Path:
        """Path of the run's state."""
        return self.folder / "checkpoint.safetensors"

    def start_from(self, *weights: Path) -> None:
        """Begin with trained weights or the averaged ones of a checkpoint, including their bases.

        For several weights (from the same starting weights) it uses their mean, which generalises better. Weights of a
        smaller network are extended to this one.

        Raises:
            ConfigError: They fit neither this network nor a smaller one it could grow from, or not each other, or are
                not symmetric where the plan is.
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
        self.net.load_state_dict(below(tensors, "net."))
        self.average.load_state_dict(below(tensors, "average."))
        for index, optimiser in enumerate(self.optimisers):
            state: dict[int, dict[str, Tensor]] = {}
            for key, tensor in below(tensors, f"optimiser{index}.").items():
                name, parameter = key.rsplit(".", 1)
                state.setdefault(int(parameter), {})[name] = tensor
            optimiser.load_state_dict({**optimiser.state_dict(), "state": state})
        self.step, self.rows = meta["step"], meta["rows"]
        return True

    def save(self) -> None:
        """Write the checkpoint atomically."""
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
        # Gradients bear rounding that heights do not: all of them may run in TF32.
        with convolutions(self.plan.precision, str(self.device)):
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
        """This step's batch, its target (None for the truth), and whether the truth is known."""
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
    """Write the training curves so far to `curves.csv`."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    part = folder / "curves.csv.part"
    with part.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, names)
        writer.writeheader()
        writer.writerows({k: round(v, 6) for k, v in row.items()} for row in rows)
    part.replace(folder / "curves.csv")


def _blank_bases(factor: int) -> Tensor:
    size = interpolant_kernels("keys6", factor).shape[-1]
    return torch.zeros(len(MODES), factor * factor, size, size)
