"""Training over several processes or machines by Ray Train: every step's batch is divided among them.

Ray starts the processes and torch's process group (gloo on processors, NCCL on GPUs) and averages the gradients; the
trained network and its checkpoint equal those of one process.
"""

from __future__ import annotations

import contextlib
import csv
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from orograph.infra.engines.ray import connect
from orograph.pipeline.errors import ConfigError, OrographError
from orograph.pipeline.learning.superres.data_parallel import DataParallel
from orograph.pipeline.learning.superres.dataset import Mix, SiteList
from orograph.pipeline.learning.superres.folds import gathered
from orograph.pipeline.learning.superres.train import Trainer
from orograph.pipeline.learning.superres.training_plan import TrainingPlan
from orograph.pipeline.learning.superres.validate import TrainingValidation
from orograph.pipeline.superres.network import PRESETS

Rows = Callable[[list[dict[str, float]]], None]
"""Called with the figures of all checkpoints so far."""

_LOOK_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class SharedRun:
    """A training run as every worker receives it.

    Attributes:
        plan: Plan of the training; its batch is divided evenly among the workers.
        training: Sites to train on.
        held_out: Sites to validate on, or none.
        data: Folder of the sites' files, at the same path on every machine.
        folder: Folder of the run, shared by the machines if there are several.
        workers: Processes.
        device: `cpu`, or `cuda` for one GPU per worker.
        every: Steps between checkpoints.
        threads: Processor threads per worker.
        start: Weights to begin with.
        teachers: Weights to learn from.
        until: Stop at this step instead of the plan's last.
        set_aside: Share of each site's terrain kept to validate on where no site is held out.
    """

    plan: TrainingPlan
    training: SiteList
    held_out: SiteList | None
    data: Path
    folder: Path
    workers: int
    device: str = "cpu"
    every: int = 500
    threads: int = 1
    start: tuple[Path, ...] = ()
    teachers: tuple[Path, ...] = ()
    until: int | None = None
    set_aside: float = 0.0

    def __post_init__(self) -> None:
        if self.workers < 1 or self.plan.batch % self.workers:
            raise ConfigError(
                f"{self.plan.batch} patches a step for {self.workers} workers",
                remedy="choose --batch as a multiple of --workers",
            )


def train_together(run: SharedRun, address: str | None = None, report: Rows | None = None) -> None:
    """Train to the plan's end and leave checkpoint and curves in the run's folder, where `Trainer.resume` finds them.

    Args:
        run: The training run.
        address: Address of the Ray cluster; None takes that of the environment, or starts a cluster on this machine.
        report: Called at each new checkpoint, with all checkpoints so far.

    Raises:
        OrographError: a worker failed, for example on a checkpoint of another plan.
    """
    from ray.train import RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer

    on_gpu = run.device.startswith("cuda")
    connect(address)
    run.folder.mkdir(parents=True, exist_ok=True)
    trainer = TorchTrainer(
        _worker,
        train_loop_config=_as_dict(run),
        scaling_config=ScalingConfig(num_workers=run.workers, use_gpu=on_gpu),
        torch_config=TorchConfig(backend="nccl" if on_gpu else "gloo"),
        run_config=RunConfig(name="ray-train", storage_path=str(run.folder.resolve())),
    )
    try:
        with _watched(run.folder / "curves.csv", report):
            trainer.fit()
    except Exception as error:
        found = _ours(error)
        if found is None:
            raise
        raise found from error


@contextlib.contextmanager
def _watched(curves: Path, report: Rows | None) -> Iterator[None]:
    """Meanwhile, look what the leading worker has written: its own words do not reach this process."""
    if report is None:
        yield
        return
    done, seen = threading.Event(), len(_rows(curves))

    def look() -> None:
        nonlocal seen
        rows = _rows(curves)
        if len(rows) > seen:
            seen = len(rows)
            report(rows)

    def watch() -> None:
        while not done.wait(_LOOK_S):
            look()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        look()


def _rows(curves: Path) -> list[dict[str, float]]:
    if not curves.exists():
        return []
    with curves.open(newline="") as stream:
        return [{key: float(value) for key, value in row.items() if value} for row in csv.DictReader(stream)]


def _as_dict(run: SharedRun) -> dict[str, Any]:
    """The run as plain values, which Ray can send to workers that have not imported this package."""
    return {
        "plan": asdict(run.plan),
        "training": run.training.model_dump(mode="json"),
        "held_out": None if run.held_out is None else run.held_out.model_dump(mode="json"),
        "data": str(run.data.resolve()),
        "folder": str(run.folder.resolve()),
        "device": run.device,
        "every": run.every,
        "threads": run.threads,
        "start": [str(path.resolve()) for path in run.start],
        "teachers": [str(path.resolve()) for path in run.teachers],
        "until": run.until,
        "set_aside": run.set_aside,
    }


def _worker(config: dict[str, Any]) -> None:
    """Train in one process of the group."""
    import torch
    from ray import train
    from ray.train.torch import prepare_model

    torch.set_num_threads(max(1, config["threads"]))
    plan = TrainingPlan(**{**config["plan"], "mix": Mix(**config["plan"]["mix"])})
    place = train.get_context()
    parallel = DataParallel(
        place.get_world_rank(),
        place.get_world_size(),
        # A batch has one thinning mode and often no aspect: the gains of others get no gradient.
        lambda module: prepare_model(module, parallel_strategy_kwargs={"find_unused_parameters": True}),
    )
    held_out = None if config["held_out"] is None else SiteList.model_validate(config["held_out"])
    ground = gathered(
        SiteList.model_validate(config["training"]),
        held_out,
        Path(config["data"]),
        config["set_aside"],
        plan.factor * plan.patch_px,
        judge=parallel.is_rank_zero,
    )
    trainer = Trainer(
        plan, ground.training, Path(config["folder"]), config["device"], parallel, list(map(Path, config["teachers"]))
    )
    if not trainer.resume() and config["start"]:
        trainer.start_from(*[Path(path) for path in config["start"]])
    validation = None
    if parallel.is_rank_zero and ground.judging:
        validation = TrainingValidation(ground.judging, plan.factor, PRESETS[plan.preset].radius_px)
    trainer.run(validation, None, config["every"], config["until"])


def _ours(error: BaseException | None) -> OrographError | None:
    """Extract the Orograph error of a worker from Ray's exception."""
    while error is not None:
        if isinstance(error, OrographError):
            return error
        for inner in getattr(error, "worker_failures", {}).values():
            found = _ours(inner)
            if found is not None:
                return found
        error = getattr(error, "cause", None) or getattr(error, "_base_exc", None) or error.__cause__
    return None
