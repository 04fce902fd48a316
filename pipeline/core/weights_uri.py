"""How weights are named: a name that ships, a path, a URL with the sha256 of what it holds, or that sha256 alone.

`sha256:<hex>` is how a run names weights of its own: they are kept in its store by their content.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from orograph.pipeline.core.hashing import file_sha256
from orograph.pipeline.errors import ConfigError, SourceMissing

Read = Callable[[str], bytes]
"""Reads the whole of what lies at a URL, or of what `sha256:<hex>` names."""

SUFFIX: Final = ".safetensors"
_PIN: Final = "#sha256="
_CONTENT: Final = "sha256:"

_readers: list[Read] = []


def read_weights_with(read: Read) -> None:
    """Say how this process reads weights that are neither shipped nor files: it knows stores and credentials."""
    _readers[:] = [read]


def reader() -> Read | None:
    """What `read_weights_with` was told last."""
    return _readers[0] if _readers else None


def by_content(digest: str) -> str:
    """The name of weights by their sha256."""
    return f"{_CONTENT}{digest}"


def parted(name: str) -> tuple[str, str | None]:
    """Where weights lie, and the sha256 that the name says they have."""
    if is_content(name):
        return name, name.removeprefix(_CONTENT).lower()
    href, _, digest = name.partition(_PIN)
    return href, digest.lower() or None


def is_content(name: str) -> bool:
    """Whether a name is a sha256 alone."""
    return name.startswith(_CONTENT)


def is_own(name: str) -> bool:
    """Whether a name is that of weights which do not ship."""
    return is_content(name) or parted(name)[0].endswith(SUFFIX)


def pinned(name: str) -> str:
    """A name that means the same weights for ever: a file's gets its absolute path and the sha256 of what it holds now.

    Names that ship are left as they are; which weights they mean is part of the processing version.

    Raises:
        SourceMissing: There is no such file.
        ConfigError: A URL without a sha256, or a file with another one.
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
