"""Writes messages, errors and JSON to the terminal."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from typing import Any, Final

from rich.console import Console

_PIPED: Final = None if sys.stdout.isatty() or os.environ.get("COLUMNS") else 160
"""Columns of a file or pipe, where rich would cut tables to 80."""


out = Console(highlight=False, soft_wrap=True, width=_PIPED)
"""Results, for people and pipes."""


err = Console(stderr=True, highlight=False, soft_wrap=True)
"""Progress, warnings and errors."""


def print_json(document: Mapping[str, Any] | list[Any]) -> None:
    """Write one JSON document to standard output."""
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False, default=str) + "\n")


def print_json_line(document: Mapping[str, Any]) -> None:
    """Write one line of JSON to standard output and flush it."""
    sys.stdout.write(json.dumps(document, ensure_ascii=False, allow_nan=False, default=str) + "\n")
    sys.stdout.flush()


def print_table(first: str, rows: Mapping[str, Mapping[str, float]]) -> None:
    """Figures by name, one row each; a figure that a row is without stays empty."""
    from rich.table import Table

    columns = list(dict.fromkeys(name for row in rows.values() for name in row))
    table = Table(box=None, pad_edge=False)
    table.add_column(first)
    for name in columns:
        table.add_column(name, justify="right")
    for name, row in rows.items():
        table.add_row(name, *(f"{row[key]:.4g}" if key in row else "" for key in columns))
    out.print(table)
