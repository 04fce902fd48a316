"""Checks a machine before a long run: each finding is ok, a warning or a failure, with a remedy."""

from __future__ import annotations

import importlib.metadata
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from orograph.infra.engines.ray_head import client_of, jobs_of, local_heads
from orograph.pipeline.core.extras import missing_package
from orograph.pipeline.core.precision import DEFAULT_PRECISION, supported_precisions
from orograph.pipeline.core.processor import instruction_caps, instruction_set, usable_cores
from orograph.pipeline.errors import OrographError
from orograph.pipeline.settings import RunSettings
from orograph.pipeline.version import __version__


class Severity(StrEnum):
    """Severity of a finding."""

    OK = "ok"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True)
class Finding:
    """Result of one check."""

    subject: str
    level: Severity
    text: str
    remedy: str = ""


def examine(settings: RunSettings) -> tuple[Finding, ...]:
    """Collect all findings, most basic first."""
    checks: tuple[Callable[[RunSettings], Iterator[Finding]], ...] = (
        _libraries,
        _gdal_options,
        _grids,
        _machine,
        _processor,
        _scratch,
        _store,
        _ray,
        _gpu,
    )
    return tuple(finding for check in checks for finding in _findings(check, settings))


def _findings(check: Callable[[RunSettings], Iterator[Finding]], settings: RunSettings) -> Iterator[Finding]:
    """Findings of a check; an extra that is not installed is one."""
    try:
        yield from check(settings)
    except ModuleNotFoundError as error:
        missing = missing_package(error)
        if missing is None:
            raise
        subject, lost = _OPTIONAL[check]
        yield Finding(
            subject, Severity.OK, f"the package {error.name} is not installed, so {lost}", missing.remedy or ""
        )


def _libraries(_: RunSettings) -> Iterator[Finding]:
    import pyproj
    import rasterio

    others = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("rasterio", "pyproj", "numpy"))
    yield Finding("software", Severity.OK, f"orograph {__version__}, {others}")
    inside = str(getattr(rasterio, "__proj_version__", "unknown"))
    own = pyproj.proj_version_str
    yield Finding(
        "PROJ",
        Severity.OK,
        f"pyproj carries {own}, rasterio {inside}; heights go by pyproj alone, so the two may differ",
    )
    # GDAL before 3.12.1 reads VRTs that are not aligned to whole pixels wrongly with several threads (OSGeo/gdal#13464).
    yield Finding("GDAL", Severity.OK, f"{rasterio.__gdal_version__}; sources are read with one thread a worker")


def _gdal_options(_: RunSettings) -> Iterator[Finding]:
    from orograph.infra.engines.environment import GDAL_ENV

    changed = {name: os.environ[name] for name, value in GDAL_ENV.items() if os.environ.get(name, value) != value}
    if not changed:
        yield Finding("GDAL options", Severity.OK, "as Orograph sets them")
    for name, value in changed.items():
        risky = name in {"GDAL_NUM_THREADS", "PROJ_NETWORK", "GDAL_DISABLE_READDIR_ON_OPEN"}
        yield Finding(
            "GDAL options",
            Severity.WARNING if risky else Severity.OK,
            f"{name}={value} from your environment",
            f"unset {name}" if risky else "",
        )


def _grids(settings: RunSettings) -> Iterator[Finding]:
    from orograph.pipeline.vertical import VerticalCatalogue
    from orograph.pipeline.vertical.grids import verified

    catalogue = VerticalCatalogue.load()
    present, missing, wrong = [], [], []
    for name, entry in catalogue.grids.items():
        path = settings.grids_dir / name
        if not path.exists():
            missing.append(name)
            continue
        try:
            from orograph.pipeline.vertical import GridFile

            verified(GridFile(name, str(path.absolute()), entry.sha256))
            present.append(name)
        except OrographError as error:
            wrong.append(f"{name}: {error.message}")
    remedy = "orograph grids fetch" if missing else ""
    level = Severity.OK if not missing else Severity.WARNING
    yield Finding(
        "grids",
        level,
        f"{len(present)} of {len(catalogue.grids)} in {settings.grids_dir}, each of its pinned sha256",
        remedy,
    )
    for text in wrong:
        yield Finding("grids", Severity.FAILURE, text, "delete the file and run orograph grids fetch")


def _machine(settings: RunSettings) -> Iterator[Finding]:
    import psutil

    cores = usable_cores()
    memory_mb = psutil.virtual_memory().available / 2**20
    workers = settings.workers or cores
    needed = workers * settings.memory_limit_mb
    fits = needed <= memory_mb
    yield Finding(
        "machine",
        Severity.OK if fits else Severity.WARNING,
        f"{cores} cores, {memory_mb:.0f} MB free for {workers} workers of at most {settings.memory_limit_mb} MB",
        "" if fits else "lower --workers or --memory-limit-mb",
    )


def _processor(_: RunSettings) -> Iterator[Finding]:
    import platform

    precisions = supported_precisions("cpu")
    half = ", ".join(f"{name} {'yes' if name in precisions else 'no'}" for name in ("bf16", "fp16"))
    caps = instruction_caps()
    yield Finding(
        "processor",
        Severity.WARNING if caps else Severity.OK,
        f"{platform.machine()}, torch uses {instruction_set()}; convolutions in {half}; networks run in "
        f"{DEFAULT_PRECISION} unless superres_precision asks otherwise"
        + (f"; capped by {', '.join(caps)}" if caps else ""),
        f"unset {' '.join(cap.partition('=')[0] for cap in caps)}" if caps else "",
    )


def _present(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    return next(place for place in (folder, *folder.absolute().parents) if place.exists())


def _scratch(settings: RunSettings) -> Iterator[Finding]:
    folder = settings.scratch or Path(tempfile.gettempdir())
    try:
        with tempfile.TemporaryFile(dir=_present(folder)):
            free_mb = shutil.disk_usage(_present(folder)).free / 2**20
    except OSError as error:
        yield Finding("scratch", Severity.FAILURE, f"{folder} cannot be written: {error}", "choose another --scratch")
        return
    enough = free_mb > 2_000
    yield Finding(
        "scratch",
        Severity.OK if enough else Severity.WARNING,
        f"{free_mb:.0f} MB free in {folder}; a 10 m tile takes about 400",
        "" if enough else "free space or choose another --scratch",
    )


def _store(settings: RunSettings) -> Iterator[Finding]:
    from orograph.infra.stores.local import LocalStore
    from orograph.infra.stores.open import check_writable, open_store

    try:
        store = open_store(settings.store, endpoint_url=settings.s3_endpoint_url)
        if isinstance(store, LocalStore):
            # A store of its own, in the same place: the check leaves no trace.
            with tempfile.TemporaryDirectory(dir=_present(store.root)) as folder:
                check_writable(LocalStore(Path(folder)))
        else:
            check_writable(store)
    except OSError as error:
        yield Finding(
            "store", Severity.FAILURE, f"{settings.store} cannot be written: {error}", "choose another --store"
        )
        return
    except OrographError as error:
        yield Finding("store", Severity.FAILURE, error.message, error.remedy or "choose another --store")
        return
    yield Finding("store", Severity.OK, f"{settings.store} takes and gives back objects")


def _ray(_: RunSettings) -> Iterator[Finding]:
    import ray

    address = os.environ.get("RAY_ADDRESS")
    if address is None:
        yield _without_address(ray.__version__)
    elif "://" in address and not address.startswith("ray://"):
        yield _dashboard(address)
    else:
        yield _head(ray, address)


def _without_address(version: str) -> Finding:
    heads = local_heads()
    if not heads:
        text = f"ray {version}; no RAY_ADDRESS and no head here, so `--engine ray` starts one on this machine"
        return Finding("Ray", Severity.OK, text)
    return Finding(
        "Ray",
        Severity.WARNING,
        f"ray {version}; a head runs here at {', '.join(heads)}, and `--engine ray` would start another without RAY_ADDRESS",
        f"export RAY_ADDRESS={heads[0]}, or use `orograph submit`",
    )


def _dashboard(address: str) -> Finding:
    try:
        client = client_of(None)
        jobs = jobs_of(client)
    except OrographError as error:
        return Finding("Ray", Severity.FAILURE, error.message, error.remedy or "check RAY_ADDRESS and the token")
    running = sum(job.state in {"PENDING", "RUNNING"} for job in jobs)
    text = f"dashboard at {address} accepts jobs; {running} of {len(jobs)} submissions run"
    return Finding("Ray", Severity.OK, text)


def _head(ray: Any, address: str) -> Finding:
    try:
        ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False)
        resources = ray.cluster_resources()
        nodes = sum(node["Alive"] for node in ray.nodes())
    except Exception as error:  # noqa: BLE001 - Ray raises whatever its transport raised
        return Finding(
            "Ray", Severity.FAILURE, f"{address} does not answer: {error}", "check RAY_ADDRESS and the token"
        )
    finally:
        ray.shutdown()
    amounts = ", ".join(f"{name} {resources.get(name, 0):g}" for name in ("CPU", "GPU"))
    count = "1 node" if nodes == 1 else f"{nodes} nodes"
    return Finding("Ray", Severity.OK, f"cluster at {address}: {count}, {amounts}")


def _gpu(_: RunSettings) -> Iterator[Finding]:
    import torch

    if torch.cuda.is_available():
        names = ", ".join(torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count()))
        precisions = ", ".join(supported_precisions("cuda"))
        yield Finding("GPU", Severity.OK, f"{names}, torch {torch.__version__}; convolutions in {precisions}")
    else:
        yield Finding("GPU", Severity.OK, f"none; models run on the CPU (torch {torch.__version__})")


_OPTIONAL: Final[dict[Callable[[RunSettings], Iterator[Finding]], tuple[str, str]]] = {
    _processor: ("processor", "networks do not run"),
    _ray: ("Ray", "`--engine ray` is not available; use `--engine local`"),
    _gpu: ("GPU", "networks do not run"),
}
"""Checks of optional packages: subject, and the effect of a missing package."""
