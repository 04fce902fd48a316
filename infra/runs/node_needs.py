"""Requirements of a run on every node, checked once when a worker starts."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from orograph.infra.stores.open import open_store
from orograph.pipeline.errors import ModelError, OrographError, StoreUnwritable
from orograph.pipeline.job import Job
from orograph.pipeline.settings import RunSettings


@dataclass(frozen=True, slots=True)
class NodeNeeds:
    """Requirements of a run's jobs on a machine.

    Attributes:
        grids: Names of geoid grids that the driver has and the jobs use.
        gpu: Networks run on CUDA.
        mark: Key of an object that the driver wrote into a folder store; a worker that does not find it sees another
            folder.
    """

    grids: tuple[str, ...] = ()
    gpu: bool = False
    mark: str = ""

    def check(self, settings: RunSettings) -> None:
        """Check that this machine has the grids, GPU and store that the jobs need.

        Raises:
            GridMissing, GridCorrupt: a grid is not on this machine, or its sha256 differs from the pinned one.
            ModelError: no GPU is visible.
            StoreUnwritable: the store's folder is not the driver's.
        """
        if self.mark and open_store(settings.store).head(self.mark) is None:
            raise StoreUnwritable(
                f"{settings.store} is another folder here than on the run's driver",
                remedy="mount the shared disk on every node, or use s3://bucket/prefix",
            )
        if self.gpu:
            _check_gpu()
        if self.grids:
            from orograph.pipeline.vertical import GridFile, VerticalCatalogue, verified

            known = VerticalCatalogue.load().grids
            for name in self.grids:
                verified(GridFile(name, str((settings.grids_dir / name).absolute()), known[name].sha256))


@contextlib.contextmanager
def needs_of(jobs: Sequence[Job], settings: RunSettings, engine: str) -> Iterator[NodeNeeds]:
    """Context that gives the needs of jobs (None on one machine); a folder store has the mark until its end."""
    if engine != "ray":
        yield NodeNeeds()
        return
    gpu = any(job.settings.device == "cuda" for job in jobs)
    grids = _grids(jobs, settings)
    if settings.store.startswith("s3://"):
        yield NodeNeeds(grids, gpu)
        return
    store, mark = open_store(settings.store), f"doctor/{uuid.uuid4().hex}"
    store.put(mark, b"orograph")
    try:
        yield NodeNeeds(grids, gpu, mark)
    finally:
        with contextlib.suppress(OrographError):
            store.delete(mark)


def _grids(jobs: Sequence[Job], settings: RunSettings) -> tuple[str, ...]:
    from orograph.pipeline.vertical import VerticalCatalogue

    catalogue = VerticalCatalogue.load()
    pairs = {(ref.source.vertical_frame, job.settings.target_frame) for job in jobs for ref in job.sources}
    names = {name for pair in pairs for name in catalogue.needed_grids(*pair)}
    return tuple(sorted(name for name in names if (settings.grids_dir / name).is_file()))


def _check_gpu() -> None:
    import torch

    if not torch.cuda.is_available():
        raise ModelError(
            "no CUDA device is visible to the worker",
            remedy="check the driver (nvidia-smi), OROGRAPH_GPUS_PER_WORKER and the image, or device=cpu",
        )
