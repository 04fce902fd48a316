"""Interface of a unit of work for engines and the commit protocol: an id and its keys in the store."""

from __future__ import annotations

from typing import Protocol


class Runnable(Protocol):
    """A unit of work: a tile's `Job` or a cell's `CellJob`. It is picklable; equal work has an equal run key."""

    @property
    def id(self) -> str:
        """Id of the tile or cell, for messages, events and scratch folders."""
        ...

    @property
    def run_key(self) -> str:
        """Identity of the work: 32 hexadecimal digits of a sha256."""
        ...

    @property
    def prefix(self) -> str:
        """Key prefix of everything the work writes."""
        ...

    @property
    def manifest_key(self) -> str:
        """Key of the manifest; it exists exactly when the work is done."""
        ...
