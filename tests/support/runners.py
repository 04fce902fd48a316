"""Importable runners for tests of engines; what they do is told by the job's source href, `do:<verb>:<argument>`."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from pathlib import Path

from orograph.infra.engines.protocol import Receipt, Status
from orograph.pipeline.errors import OutOfMemory, SourceCorrupt, SourceUnavailable
from orograph.pipeline.job import Job, ProgressCallback


def receipt_of(job: Job) -> Receipt:
    return Receipt(job.tile.id, job.run_key, Status.DONE, job.manifest_key)


def empty(job: Job, progress: ProgressCallback) -> Receipt:
    """Does nothing: what is left is the engine's own cost."""
    return receipt_of(job)


def told(job: Job, progress: ProgressCallback) -> Receipt:
    """Does what the job's href says."""
    _, verb, argument = job.sources[0].files[0].href.split(":", 2)
    progress("read", 0.0)
    progress("blend", 0.5)
    getattr(Deeds, verb)(argument)
    progress("blend", 1.0)
    return receipt_of(job)


class Deeds:
    """What can happen to a tile."""

    @staticmethod
    def nothing(_argument: str) -> None: ...

    @staticmethod
    def nap(argument: str) -> None:
        time.sleep(float(argument))

    @staticmethod
    def kill(_argument: str) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    @staticmethod
    def killonce(argument: str) -> None:
        if first_time(argument):
            os.kill(os.getpid(), signal.SIGKILL)

    @staticmethod
    def hang(_argument: str) -> None:
        ctypes.CDLL(None).sleep(600)

    @staticmethod
    def hangonce(argument: str) -> None:
        if first_time(argument):
            ctypes.CDLL(None).sleep(600)

    @staticmethod
    def corrupt(argument: str) -> None:
        raise SourceCorrupt("not a raster", source=argument)

    @staticmethod
    def unavailable(_argument: str) -> None:
        raise SourceUnavailable("503")

    @staticmethod
    def unavailableonce(argument: str) -> None:
        if first_time(argument):
            raise SourceUnavailable("503")

    @staticmethod
    def memory(_argument: str) -> None:
        raise OutOfMemory("allocation failed")

    @staticmethod
    def hog(_argument: str) -> None:
        import resource

        import numpy as np

        # A limit of this worker's own: 1 GiB above what it holds, then it asks for more.
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + 2**30, resource.RLIM_INFINITY))
        try:
            np.ones(2**31, np.uint8)
        finally:
            resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    @staticmethod
    def pid(path: str) -> None:
        Path(path).write_text(str(os.getpid()))

    @staticmethod
    def gorge(megabytes: str) -> None:
        """Take memory and use it, bit by bit, until it is enough or somebody intervenes."""
        held = []
        for _ in range(int(megabytes) // 50):
            held.append(b"x" * (50 * 2**20))
            time.sleep(0.02)
        time.sleep(3.0)

    @staticmethod
    def caged(cgroup: str) -> None:
        """Move this worker into a control group with little memory, and take more."""
        Path(cgroup, "cgroup.procs").write_text(str(os.getpid()))
        Deeds.gorge("2000")

    @staticmethod
    def node(folder: str) -> None:
        """Leave a mark of the node this runs on, after half a second."""
        import ray

        (Path(folder) / ray.get_runtime_context().get_node_id()).touch()
        time.sleep(0.5)

    @staticmethod
    def spin(seconds: str) -> None:
        """Use CPU time, not wall time."""
        started = time.process_time()
        while time.process_time() - started < float(seconds):
            pass

    @staticmethod
    def bug(argument: str) -> None:
        raise ValueError(argument)


def first_time(mark: str) -> bool:
    """True for the first caller of all processes."""
    try:
        os.close(os.open(Path(mark), os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True
