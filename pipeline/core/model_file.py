"""Arrays with a JSON description in one safetensors file: how every model file of the package but one is read."""

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
    """Description and arrays of a file.

    Args:
        path: Of the file.
        key: Name of the description in the file's metadata.
        what: What it should hold, with its article, for errors.
        version: The one this program reads.
        remedy: How to come by a file that serves.

    Raises:
        SourceMissing: there is no such file.
        ForeignModel: no safetensors file, without that description, a damaged one, or of another version.
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise SourceMissing(f"no model file {path}", remedy=remedy)
    try:
        with safe_open(path, framework="numpy") as file:
            text = (file.metadata() or {}).get(key)
            arrays = {name: np.asarray(file.get_tensor(name)) for name in file.keys()}  # noqa: SIM118 - no mapping
    except (SafetensorError, OSError) as error:
        raise ForeignModel(f"{path.name} is no safetensors file: {error}", remedy=remedy) from error
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
    """Whatever goes wrong inside is the file's description being damaged.

    Raises:
        ForeignModel: a part lacks or does not parse.
    """
    try:
        yield
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ForeignModel(f"the description in {path.name} is damaged: {error!r}") from error
