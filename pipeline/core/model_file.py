"""Reads model files (except super-resolution networks): arrays with a JSON description in one safetensors file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from orograph.pipeline.errors import ForeignModel, SourceMissing


def read_described(
    path: Path, key: str, what: str, version: int, remedy: str | None = None
) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
    """Read description and arrays of a model file.

    Args:
        path: The file.
        key: Name of the description in the file's metadata.
        what: Name of the expected content with its article, for error messages: `a bare-earth model`.
        version: The version this program reads.
        remedy: How to obtain a suitable file.

    Raises:
        SourceMissing: the file does not exist.
        ForeignModel: not a safetensors file, its description is missing or damaged, or its version differs.
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise SourceMissing(f"no model file {path}", remedy=remedy)
    try:
        with safe_open(path, framework="numpy") as file:
            text = (file.metadata() or {}).get(key)
            arrays = {name: np.asarray(file.get_tensor(name)) for name in file.keys()}  # noqa: SIM118 - no mapping
    except (SafetensorError, OSError) as error:
        raise ForeignModel(f"{path.name} is not a safetensors file: {error}", remedy=remedy) from error
    if text is None:
        raise ForeignModel(f"{path.name} is a safetensors file, but not {what}", remedy=remedy)
    with description_of(path):
        document = json.loads(text)
        found = document["version"]
    if found != version:
        raise ForeignModel(f"{path.name} is {what} of version {found}, this program reads {version}", remedy=remedy)
    return document, arrays


@contextmanager
def description_of(path: Path) -> Iterator[None]:
    """Context in which any error is reported as a damaged model description.

    Raises:
        ForeignModel: a part is missing or does not parse.
    """
    try:
        yield
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ForeignModel(f"the description in {path.name} is damaged: {error!r}") from error
