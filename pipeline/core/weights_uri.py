"""Names of weights: a bundled name, a path, a URL with the sha256 of its content, or that sha256 alone.

A run names its user-supplied weights `sha256:<hex>` and keeps them in its store under that digest.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from orograph.pipeline.core.hashing import file_sha256
from orograph.pipeline.errors import ConfigError, SourceMissing

Read = Callable[[str], bytes]
"""Reads the content of a URL or of `sha256:<hex>`; hashable, so that loaded models are cached by reader and name."""

SUFFIX: Final = ".safetensors"
_PIN: Final = "#sha256="
_CONTENT: Final = "sha256:"


def by_content(digest: str) -> str:
    """The name of weights by their sha256."""
    return f"{_CONTENT}{digest}"


def parted(name: str) -> tuple[str, str | None]:
    """Return the location of weights and the sha256 in their name."""
    if is_content(name):
        return name, name.removeprefix(_CONTENT).lower()
    href, _, digest = name.partition(_PIN)
    return href, digest.lower() or None


def is_content(name: str) -> bool:
    """Whether a name is a sha256 alone."""
    return name.startswith(_CONTENT)


def is_own(name: str) -> bool:
    """Whether a name means user-supplied weights, not bundled ones."""
    return is_content(name) or parted(name)[0].endswith(SUFFIX)


def pinned(name: str) -> str:
    """Return a permanent name of weights: for a file, its absolute path and the sha256 of its current content.

    Bundled names stay unchanged; the processing version determines their weights.

    Raises:
        SourceMissing: The file does not exist.
        ConfigError: A URL has no sha256, or the file's sha256 differs.
    """
    href, expected = parted(name)
    if not href.endswith(SUFFIX):
        return name
    if "://" in href:
        if expected is None:
            raise ConfigError(f"weights at {href} are not pinned", remedy=f"append {_PIN}<hex> to the URL")
        return f"{href}{_PIN}{expected}"
    path = Path(href).absolute()
    if not path.exists():
        raise SourceMissing(f"no weights at {href}", source=href)
    digest = file_sha256(path)
    if expected is not None and digest != expected:
        raise ConfigError(f"weights {href} have sha256 {digest}, expected {expected}", remedy="name the weights meant")
    return f"{path}{_PIN}{digest}"
