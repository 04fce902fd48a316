"""Grids from the PROJ CDN: fetched to a temporary file, hashed, and only then given their name."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

import httpx

from orograph.pipeline.errors import GridCorrupt, GridMissing, SourceMissing, SourceUnavailable, StoreUnwritable
from orograph.pipeline.vertical import VerticalCatalogue, grid_states

Progress = Callable[[str, int, int], None]
"""Called with the grid's name, the bytes so far and the total bytes."""


def fetch_grids(
    names: tuple[str, ...], folder: Path, *, url: str | None = None, progress: Progress | None = None
) -> tuple[str, ...]:
    """Download grids into a folder; files that are present and have the pinned sha256 are kept.

    Args:
        names: Grids of the catalogue.
        folder: Destination; made if it does not exist.
        url: Address the names are appended to; the catalogue's CDN when None.
        progress: Called after each block of bytes.

    Returns:
        The names that were fetched.

    Raises:
        GridMissing: the catalogue has no such grid.
        SourceMissing: the server does not have it.
        SourceUnavailable: the server fails or answers incorrectly.
        GridCorrupt: the downloaded file is not the pinned file.
        StoreUnwritable: the folder cannot be written.
    """
    catalogue = VerticalCatalogue.load()
    if unknown := [name for name in names if name not in catalogue.grids]:
        raise GridMissing(f"the catalogue has no grid {', '.join(unknown)}", remedy="see `orograph grids list`")
    present = {state.name for state in grid_states(catalogue.grids, folder) if state.state == "ok"}
    wanted = tuple(name for name in names if name not in present)
    base = (url or catalogue.cdn).rstrip("/")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with httpx.Client(timeout=30.0, follow_redirects=True) as client:
            for name in wanted:
                _fetch(client, f"{base}/{name}", folder / name, catalogue.grids[name].sha256, progress)
    except OSError as error:
        raise StoreUnwritable(f"grids cannot be written to {folder}: {error}") from error
    return wanted


def _fetch(client: httpx.Client, url: str, target: Path, sha256: str, progress: Progress | None) -> None:
    with tempfile.NamedTemporaryFile(dir=target.parent, prefix=f".{target.name}.", delete=False) as file:
        part = Path(file.name)
        try:
            digest = _download(client, url, file.file, target.name, progress)
            file.close()
            if digest != sha256:
                raise GridCorrupt(
                    f"{url} gave a file of sha256 {digest[:16]}..., pinned is {sha256[:16]}...",
                    remedy="the server may have a newer grid; fetch the pinned one elsewhere",
                )
            part.chmod(0o644)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)


def _download(client: httpx.Client, url: str, file: IO[bytes], name: str, progress: Progress | None) -> str:
    digest, done = hashlib.sha256(), 0
    try:
        with client.stream("GET", url) as response:
            _check(response, url)
            total = int(response.headers.get("content-length", 0))
            for chunk in response.iter_bytes(1 << 16):
                file.write(chunk)
                digest.update(chunk)
                done += len(chunk)
                if progress is not None:
                    progress(name, done, total)
    except httpx.HTTPError as error:
        raise SourceUnavailable(
            f"{url}: {type(error).__name__}: {error}", remedy="try again, or name a mirror with --url"
        ) from error
    return digest.hexdigest()


def _check(response: httpx.Response, url: str) -> None:
    if response.status_code in {404, 410}:
        raise SourceMissing(f"{url} does not exist", remedy="name a mirror with --url")
    if response.status_code != httpx.codes.OK:
        raise SourceUnavailable(f"{url} answered {response.status_code}", remedy="try again later")
