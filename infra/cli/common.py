"""What all commands share: consoles, JSON output, and the way errors end a process."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from typing import Any

from rich.console import Console

from pipeline.errors import OrographError

out = Console(highlight=False, soft_wrap=True)
"""Results, for people and pipes."""

err = Console(stderr=True, highlight=False, soft_wrap=True)
"""Progress, warnings and errors."""


def print_json(document: Mapping[str, Any] | list[Any]) -> None:
    """One JSON document to standard output."""
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False, default=str) + "\n")


def print_json_line(document: Mapping[str, Any]) -> None:
    """One line of JSON to standard output, flushed at once."""
    sys.stdout.write(json.dumps(document, ensure_ascii=False, allow_nan=False, default=str) + "\n")
    sys.stdout.flush()


def ending(run: Callable[[], object]) -> int:
    """Run a command and turn what it raises into an exit code and a sentence.

    0 ok, 1 failed, 2 usage, 3 some tiles failed, 4 input missing, 130 interrupted.
    """
    try:
        run()
    except OrographError as error:
        err.print(f"[bold red]{type(error).__name__}[/]: ", end="")
        err.print(str(error), markup=False)
        return error.exit_code
    except KeyboardInterrupt:
        err.print("interrupted; what is finished stays, the same command resumes")
        return 130
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 1
    return 0
