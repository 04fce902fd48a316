"""Makes the engine that the settings name, for tiles, cells and the service."""

from __future__ import annotations

from orograph.infra.engines.protocol import DrainingEngine
from orograph.infra.engines.schedule import Policy
from orograph.pipeline.errors import ConfigError
from orograph.pipeline.settings import ProcessingSettings, RunSettings


def make_engine(settings: RunSettings, *, workers: int | None = None, isolate: bool = False) -> DrainingEngine:
    """Make the engine that the settings name.

    Args:
        settings: Settings of the run.
        workers: Number of jobs at once; from the settings when None.
        isolate: Use a separate process even for a single job, so that a crash or a deadline ends only that process.
    """
    policy = Policy(attempts=settings.attempts, deadline_s=settings.deadline_s)
    size = settings.workers if workers is None else workers
    if settings.engine == "ray":
        from orograph.infra.engines.ray import RayEngine, RayOptions

        options = RayOptions(
            address=settings.ray_address,
            workers=size,
            cpus_per_worker=settings.cpus_per_worker,
            gpus_per_worker=settings.gpus_per_worker,
            memory_mb_per_worker=settings.memory_mb_per_worker,
            autoscaling=settings.autoscaling,
        )
        return RayEngine(options, policy)
    from orograph.infra.engines.local import LocalEngine

    return LocalEngine(size, policy, isolate=isolate)


def check_gpus(processing: ProcessingSettings, settings: RunSettings) -> str | None:
    """Check that workers are given GPUs exactly when the processing uses them.

    Returns:
        Notes for the user; may be empty.

    Raises:
        ConfigError: The settings require GPUs that no worker would have.
    """
    if settings.engine != "ray":
        return None
    if processing.device == "cuda" and settings.gpus_per_worker == 0:
        raise ConfigError(
            "device is cuda, and Ray keeps no GPU for the workers",
            remedy="OROGRAPH_GPUS_PER_WORKER=1, or 0.25 for four workers on each, or device=cpu",
        )
    if processing.device == "cpu" and settings.gpus_per_worker > 0:
        return "GPUs are kept for the workers, but nothing runs on them: --set device=cuda"
    return None
