"""Weights by name and sha256: bundled with the package, in a file, or at a URL; safetensors only, never pickles."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from safetensors.torch import load as load_bytes
from torch import Tensor

from orograph.pipeline.core.bundled_weights import BUNDLED, bundled_index
from orograph.pipeline.core.weights_uri import Read, is_content, is_own, parted
from orograph.pipeline.errors import ModelError, SourceMissing

FORMAT: Final = "orograph-superres-2"
"""Metadata of a file: `plan` with the network's shape, `about`."""


@dataclass(frozen=True, slots=True, eq=False)
class Weights:
    """Trained tensors and their metadata.

    Attributes:
        name: Requested name or href.
        sha256: Hexadecimal digest of the file.
        tensors: By parameter name.
        plan: The training plan that produced them.
        about: Data, folds, statistics: the machine-readable part of the model card.
    """

    name: str
    sha256: str
    tensors: dict[str, Tensor]
    plan: dict[str, Any]
    about: dict[str, Any]


def load_weights(name: str, sha256: str | None = None, fetch: Read | None = None, format_: str = FORMAT) -> Weights:
    """Read weights and verify their digest.

    Args:
        name: A bundled name, a path, a URL, or `sha256:<hex>`; a path or URL may end in `#sha256=<hex>`.
        sha256: Expected digest; required for URLs, known for bundled names.
        fetch: Reads weights that are neither bundled nor a file; None if there are no others.
        format_: Format that the file must declare.

    Raises:
        SourceMissing: The file does not exist.
        ModelError: A different digest, a format that can carry code, or tensors that do not parse.
    """
    href, pin = parted(name)
    expected = sha256 or pin
    entry = bundled_index("superres").get(href)
    if entry is not None:
        return _parsed(href, (BUNDLED / entry["file"]).read_bytes(), expected or entry["sha256"])
    if not is_own(name):
        raise ModelError(
            f"{href!r} is neither a bundled model nor a .safetensors file",
            remedy=f"bundled: {', '.join(sorted(bundled_index('superres'))) or 'none'}; pickled formats are rejected: they can run code",
        )
    if "://" in href or is_content(href):
        if expected is None:
            raise ModelError(f"{href} needs a sha256", remedy="append #sha256=<hex> to the URL")
        if fetch is None:
            raise ModelError(f"no loader is set for {href}", remedy="download it and pass the file")
        return _read(href, expected, fetch)
    if not Path(href).exists():
        raise SourceMissing(f"no weights at {href}", source=href)
    return _parsed(href, Path(href).read_bytes(), expected, format_)


@lru_cache(maxsize=4)
def _read(href: str, expected: str, fetch: Read) -> Weights:
    """Cached per process; content under a digest never changes."""
    return _parsed(href, fetch(href), expected)


def bundled_weights(name: str, kind: str, format_: str) -> Weights:
    """Read bundled weights of another kind than those of `load_weights`, and verify their digest.

    Args:
        name: Name in the index.
        kind: Kind in the index.
        format_: Format that the file must declare.

    Raises:
        ModelError: A different digest or format, or tensors that do not parse.
    """
    entry = bundled_index(kind)[name]
    return _parsed(name, (BUNDLED / entry["file"]).read_bytes(), entry["sha256"], format_)


def compact(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors as stored: kernels of the body, which run in half precision, as float16, others unchanged."""
    return {
        name: (tensor.half() if name.endswith((".first", ".second")) else tensor).cpu().contiguous()
        for name, tensor in tensors.items()
    }


def _parsed(name: str, content: bytes, expected: str | None, format_: str = FORMAT) -> Weights:
    digest = hashlib.sha256(content).hexdigest()
    if expected is not None and digest != expected.lower():
        raise ModelError(
            f"weights {name} have sha256 {digest}, expected {expected}",
            remedy="download the weights again and do not use this copy",
        )
    return _cached(name, digest, content, format_)


@lru_cache(maxsize=4)
def _cached(name: str, digest: str, content: bytes, format_: str) -> Weights:
    try:
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        tensors = load_bytes(content)
    except Exception as error:
        raise ModelError(f"weights {name} do not parse: {error}") from error
    meta = header.get("__metadata__", {})
    if meta.get("format") != format_:
        raise ModelError(f"weights {name} are of format {meta.get('format')!r}, expected {format_}")
    return Weights(name, digest, tensors, json.loads(meta["plan"]), json.loads(meta["about"]))
