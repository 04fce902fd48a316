"""Code upload for a cluster without Orograph: the three packages only.

Ray rejects working directories above 100 MiB with an opaque HTTP 413, usually because of a `.git` folder; a copy
of the packages alone is a few megabytes. Equal sources give an equal digest, so Ray uploads them once.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import orograph
from orograph.pipeline.errors import ConfigError

PACKAGES: Final = ("pipeline", "infra", "stac")
_NAME: Final = "orograph"
_LEFT_OUT: Final = {"__pycache__", ".mypy_cache", ".ruff_cache", ".DS_Store"}
_LIMIT_BYTES: Final = 90 * 2**20


def package_files() -> Iterator[tuple[str, Path]]:
    """Relative names and paths of the packages' files, sorted."""
    for path in sorted(Path(orograph.__file__).parent.iterdir()):
        if path.is_file() and path.suffix != ".pyc":
            yield f"{_NAME}/{path.name}", path
    for package in PACKAGES:
        # A checkout links the folders, an installed package contains them.
        root = (Path(orograph.__file__).parent / package).resolve()
        for path in sorted(root.rglob("*")):
            inside = path.relative_to(root)
            if path.is_file() and path.suffix != ".pyc" and not _LEFT_OUT.intersection(inside.parts):
                yield f"{_NAME}/{package}/{inside.as_posix()}", path


def package_digest() -> str:
    """sha256 over names and contents of the packages."""
    digest = hashlib.sha256()
    for name, path in package_files():
        digest.update(f"{name}\0{path.stat().st_size}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def copy_packages(folder: Path) -> int:
    """Copy the packages into a folder for a job's working directory; return their size in bytes.

    Raises:
        ConfigError: the packages are larger than Ray accepts.
    """
    total = 0
    for name, path in package_files():
        total += path.stat().st_size
        if total > _LIMIT_BYTES:
            raise ConfigError(
                f"the packages are larger than {_LIMIT_BYTES // 2**20} MiB, Ray takes no more than 100",
                remedy="use an image that has Orograph installed, and --installed",
            )
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    return total
