"""`orograph train`: train a super-resolution network on any DTMs."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from orograph.infra.reporting.console import err, out
from orograph.infra.reporting.work_progress import WorkProgress
from orograph.pipeline.core.precision import DEFAULT_PRECISION, Precision, checked_precision

if TYPE_CHECKING:
    from orograph.pipeline.learning.superres.dataset import Sampler, SiteList

_STEPS: Final = 20_000
_SENSOR_STEPS: Final = 1_200
"""Longer training gains on simulated sensors and loses on real ones."""
_BATCH: Final = 7
_SENSOR_BATCH: Final = 8


def train(
    folder: Annotated[Path, typer.Argument(help="Folder of the run: checkpoint, curves, weights; resumes from it.")],
    data: Annotated[Path, typer.Option(help="Folder that contains the sites' files.")] = Path(),
    sites: Annotated[
        Path | None, typer.Option(help="YAML list of sites; default: the sites of the bundled weights.")
    ] = None,
    dtm: Annotated[list[Path] | None, typer.Option(help="A DTM of your own as a site; may be given often.")] = None,
    hold_out: Annotated[list[str] | None, typer.Option(help="Site kept for validation; may be given often.")] = None,
    set_aside: Annotated[
        float,
        typer.Option(
            min=0.0,
            max=0.3,
            help="Share of every site's area, in one piece, kept for that where no site is; 0 for none.",
        ),
    ] = 0.15,
    preset: Annotated[str, typer.Option(help="XS, S, M, L, or a baseline: linear, srcnn, vdsr, vdsr9, edsr.")] = "S",
    factor: Annotated[int, typer.Option(min=2, help="Fine pixels along a coarse pixel's side.")] = 3,
    steps: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Optimiser steps; 0 only calibrates the start weights.",
            show_default=f"{_STEPS}, {_SENSOR_STEPS} with --sensors",
        ),
    ] = None,
    batch: Annotated[
        int | None,
        typer.Option(min=1, help="Patches a step.", show_default=f"{_BATCH}, {_SENSOR_BATCH} with --sensors"),
    ] = None,
    rate: Annotated[float, typer.Option(help="Peak learning rate.")] = 2e-3,
    averaged: Annotated[float, typer.Option(min=0.0, max=1.0, help="Share of batches in averaged mode.")] = 0.43,
    noisy: Annotated[float, typer.Option(min=0.0, max=1.0, help="Share of batches with noise.")] = 0.08,
    start: Annotated[
        list[Path] | None,
        typer.Option(help="Weights or another run's checkpoint to begin with; of several, their mean."),
    ] = None,
    teacher: Annotated[
        list[Path] | None,
        typer.Option(help="Weights of a larger network to learn from; of several, their mean answer."),
    ] = None,
    symmetric: Annotated[
        bool, typer.Option("--symmetric/--free", help="Make the network rotation-equivariant, or leave it free.")
    ] = True,
    taught: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Share of the teacher's answer in the target; the rest is truth.")
    ] = 0.8,
    unseen: Annotated[
        float,
        typer.Option(min=0.0, max=1.0, help="Share of batches finer than any truth, which only the teacher answers."),
    ] = 0.0,
    decay_from: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Share of the steps after which the rate falls; 1 makes a trunk.")
    ] = 0.0,
    roughness_power: Annotated[
        float, typer.Option(min=0.0, help="How far rough patches are played down: 0 judges by metres, 2 all alike.")
    ] = 1.3,
    plain_from: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Share of the steps after which plain squares are minimised.")
    ] = 0.75,
    patch: Annotated[int, typer.Option(min=8, help="Side of a patch, coarse pixels.")] = 48,
    margin: Annotated[int, typer.Option(min=0, help="Coarse pixels at a patch's rim that do not count.")] = 8,
    seed: Annotated[int, typer.Option(help="Seed of everything drawn.")] = 1,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    precision: Annotated[
        str,
        typer.Option(
            help="fp32, or tf32 or bf16 where the hardware convolves in it: in the body, validation included."
        ),
    ] = DEFAULT_PRECISION,
    threads: Annotated[int, typer.Option(min=0, help="Processor threads; 0 leaves torch's choice.")] = 0,
    workers: Annotated[
        int, typer.Option(min=1, help="Processes that share every batch, by Ray Train; one GPU each.")
    ] = 1,
    processor_s: Annotated[float, typer.Option(help="Budget of a baseline, processor-seconds.")] = 600.0,
    every: Annotated[int, typer.Option(min=1, help="Steps between checkpoints and validations.")] = 500,
    sensors: Annotated[
        bool,
        typer.Option(
            "--sensors",
            help="Train the correction of sensor-net on drawn sensor models, with --data, --sites, --dtm, --hold-out, --steps, "
            "--batch, --rate, --seed, --device, --threads and --every.",
        ),
    ] = False,
    examples: Annotated[int, typer.Option(min=1, help="Examples to draw for --sensors.")] = 700,
    error_steps: Annotated[int, typer.Option(min=0, help="Steps of the error head afterwards; 0 for none.")] = 1500,
) -> None:
    """Train a network on DTMs, validated on held-out sites; run it again to resume."""
    import torch

    from orograph.pipeline.learning.superres.baseline_networks import BASELINES, WINDOW_PX
    from orograph.pipeline.learning.superres.calibrate import fit_error_and_gate
    from orograph.pipeline.learning.superres.dataset import Mix, Sampler, SiteList, load_site
    from orograph.pipeline.learning.superres.distillation import digest_of
    from orograph.pipeline.learning.superres.folds import gathered
    from orograph.pipeline.learning.superres.model_card import model_card
    from orograph.pipeline.learning.superres.train import Trainer
    from orograph.pipeline.learning.superres.training_plan import TrainingPlan
    from orograph.pipeline.learning.superres.validate import TrainingValidation
    from orograph.pipeline.superres.network import PRESETS

    if threads:
        torch.set_num_threads(threads)
    if sensors:
        _train_sensor_net(
            folder,
            SiteList.gather(sites, dtm or [], "sensor_sites.yaml").without(hold_out or []),
            data,
            {
                "examples": examples,
                "steps": _SENSOR_STEPS if steps is None else steps,
                "batch": batch or _SENSOR_BATCH,
                "rate": rate,
                "seed": seed,
            },
            device,
            every,
            hold_out or [],
        )
        return
    listed = SiteList.gather(sites, dtm or [])
    held = [site for site in listed.sites if site.name in (hold_out or [])]
    training = listed.without(hold_out or [])
    mix = Mix(averaged=_averaged(factor, averaged), noisy=noisy)
    if preset == "linear" or preset in BASELINES:
        loaded = [load_site(site, data) for site in training.sites]
        sampler = Sampler(loaded, factor, WINDOW_PX, batch or _BATCH, mix, seed)
        names = [site.name for site in held]
        _train_baseline(
            preset,
            sampler,
            processor_s,
            seed,
            folder / "weights.safetensors",
            _about(training, names),
            checked_precision(precision),
        )
        return
    plan = TrainingPlan(
        preset=preset, factor=factor, steps=_STEPS if steps is None else steps, batch=batch or _BATCH, rate=rate,
        seed=seed,
        precision=checked_precision(precision), mix=mix, decay_from=decay_from, roughness_power=roughness_power,
        plain_from=plain_from, patch_px=patch, margin_px=margin, taught=taught if teacher else 0.0,
        teacher=digest_of(teacher) if teacher else "", symmetric=symmetric, unseen=unseen,
    )  # fmt: skip
    held_list = SiteList(sites=tuple(held)) if held else None
    show = _progress(plan.steps, folder / "curves.png")
    ground = gathered(training, held_list, data, set_aside, factor * patch)
    if workers > 1:
        from orograph.infra.cluster.training import SharedRun, train_together

        train_together(
            SharedRun(
                plan,
                training,
                held_list,
                data,
                folder,
                workers,
                device,
                every,
                max(1, threads),
                tuple(start or ()),
                tuple(teacher or ()),
                set_aside=set_aside,
            ),
            report=show,
        )
        device = _here(device)
    trainer = Trainer(plan, ground.training, folder, device, teachers=teacher or ())
    if trainer.resume():
        err.print(f"resuming at step {trainer.step}")
    elif start:
        trainer.start_from(*start)
    validation = (
        TrainingValidation(ground.judging, factor, PRESETS[preset].radius_px, plan.precision)
        if ground.judging
        else None
    )
    with WorkProgress():
        trainer.run(validation, lambda _: show(trainer.rows), every)
    extra: dict[str, Any] = {}
    if error_steps:
        with WorkProgress():
            extra = fit_error_and_gate(trainer.average, trainer.sampler, validation, error_steps, seed, plan.precision)
    judges = [site.spec.name if held else f"a piece of {site.spec.name}" for site in ground.judging]
    about = _about(training, judges) | {"figures": trainer.rows[-1] if trainer.rows else {}}
    digest = trainer.export(folder / "weights.safetensors", about, extra)
    (folder / "weights.md").write_text(model_card(folder.name, digest, asdict(plan), about))
    out.print(f"{folder / 'weights.safetensors'} sha256 {digest}")


def _train_sensor_net(
    folder: Path, training: SiteList, data: Path, options: dict[str, Any], device: str, every: int, held: list[str]
) -> None:
    """Train the network that corrects the filter of a sensor, and write weights and model card."""
    from orograph.pipeline.learning.superres.model_card import sensor_card
    from orograph.pipeline.learning.superres.sensor_examples import draw_examples
    from orograph.pipeline.learning.superres.sensor_training import SensorPlan, SensorTrainer

    plan = SensorPlan(**options)
    with WorkProgress():
        drawn = draw_examples(training.sites, data, plan.examples, plan.seed)
        trainer = SensorTrainer(plan, drawn, folder, device)
        if trainer.resume():
            err.print(f"resuming at step {trainer.step}")
        trainer.run(
            lambda step, heights, slopes: err.print(
                f"step {step} of {plan.steps}: squared errors over the filter's {heights:.3f}, of slopes {slopes:.3f}"
            ),
            every,
        )
    about = _about(training, held)
    digest = trainer.export(folder / "weights.safetensors", about)
    (folder / "weights.md").write_text(sensor_card(folder.name, digest, asdict(plan), about))
    out.print(f"{folder / 'weights.safetensors'} sha256 {digest}")


def _here(device: str) -> str:
    """The device others trained on if this machine has it too, else the processor, for what is left to do."""
    from orograph.pipeline.core.torch_device import torch_device
    from orograph.pipeline.errors import ConfigError

    try:
        torch_device(device)
    except ConfigError:
        err.print(f"no {device} on this machine: the error head is fitted on its processor")
        return "cpu"
    return device


def _train_baseline(
    preset: str,
    sampler: Sampler,
    processor_s: float,
    seed: int,
    weights: Path,
    about: dict[str, Any],
    precision: Precision,
) -> None:
    """Fit the best linear filter or train one of the earlier networks."""
    from orograph.pipeline.learning.superres.baseline_networks import train_baseline
    from orograph.pipeline.learning.superres.fit_linear import fit_linear

    weights.parent.mkdir(parents=True, exist_ok=True)
    if preset == "linear":
        digest = fit_linear(sampler).write(weights, about)
    else:
        with WorkProgress():
            digest, _ = train_baseline(
                preset, sampler, processor_s, seed=seed, path=weights, about=about, precision=precision
            )
    out.print(f"{weights} sha256 {digest}")


def _averaged(factor: int, share: float) -> float:
    """The share of batches in averaged mode: all of them at even factors, where decimation would shift the grid."""
    if factor % 2 == 0 and share < 1.0:
        err.print(f"decimation by the even factor {factor} shifts the grid: all batches are averaged")
        return 1.0
    return share


def _about(training: SiteList, held: list[str]) -> dict[str, Any]:
    """Metadata of the training terrain, saved with the weights."""
    return {
        "sites": [site.model_dump(include={"name", "licence", "attribution", "weight"}) for site in training.sites],
        "held_out": held,
    }


def _progress(steps: int, picture: Path) -> Callable[[list[dict[str, float]]], None]:
    """Report each checkpoint to the user: one line of figures and a plot of the curves so far."""
    from orograph.pipeline.learning.superres.plots import plot_curves

    def show(rows: list[dict[str, float]]) -> None:
        plot_curves(rows, picture)
        row = rows[-1]
        gains = ", ".join(f"{k.removeprefix('gain_')} {v:+.2f} %" for k, v in row.items() if k.startswith("gain_"))
        decimated, averaged = (row.get(f"relative_mse_{mode}", math.nan) for mode in ("decimated", "averaged"))
        err.print(
            f"step {row['step']:.0f} of {steps}: relative squared error {decimated:.3f} decimated, "
            f"{averaged:.3f} averaged; {row['cpu_s']:.0f} processor-seconds; {gains}"
        )

    return show
