"""The engine that the settings name, for tiles, cells and the service alike."""

from __future__ import annotations

from infra.schedule import Policy
from infra.supervise import DrainingEngine
from pipeline.config import RunSettings


def make_engine(settings: RunSettings, *, workers: int | None = None, isolate: bool = False) -> DrainingEngine:
    """The engine the settings name.

    Args:
        settings: Engine, workers, patience.
        workers: Jobs at once; the settings' when None.
        isolate: Use a process of its own even for a single job, so that a crash or a deadline ends that alone.
    """
    policy = Policy(attempts=settings.attempts, deadline_s=settings.deadline_s)
    size = settings.workers if workers is None else workers
    if settings.engine == "ray":
        from infra.ray_engine import RayEngine, RayOptions

        options = RayOptions(
            address=settings.ray_address,
            workers=size,
            cpus_per_worker=settings.cpus_per_worker,
            gpus_per_worker=settings.gpus_per_worker,
            memory_mb_per_worker=settings.memory_mb_per_worker,
            autoscaling=settings.autoscaling,
        )
        return RayEngine(options, policy)
    from infra.local import LocalEngine

    return LocalEngine(size, policy, isolate=isolate)
