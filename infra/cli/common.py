"""Parts shared by all commands: consoles, JSON output, and exit on errors."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import Signature, signature
from typing import Any

from orograph.infra.reporting.console import err
from orograph.pipeline.core.extras import missing_package
from orograph.pipeline.errors import OrographError


def ending(run: Callable[[], object]) -> int:
    """Run a command and turn its errors into an exit code and a message.

    0 ok, 1 failed, 2 usage, 3 some tiles failed, 4 input missing, 130 interrupted.
    """
    try:
        run()
    except OrographError as error:
        return _explained(error)
    except ModuleNotFoundError as error:
        missing = missing_package(error)
        if missing is None:
            raise
        return _explained(missing)
    except OSError as error:
        # Unexpected system errors: a file where a folder should be, permissions, a full disk.
        err.print(f"[bold red]{type(error).__name__}[/]: ", end="")
        err.print(f"{error} — check that path, its permissions, and the space left", markup=False)
        return 1
    except KeyboardInterrupt:
        err.print("interrupted; finished work is kept, the same command resumes")
        return 130
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 1
    return 0


def _explained(error: OrographError) -> int:
    err.print(f"[bold red]{type(error).__name__}[/]: ", end="")
    err.print(str(error), markup=False)
    return error.exit_code


def sharing(made: Callable[..., tuple[Any, ...]], *names: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Decorator for commands that share options: passes the result of `made(options)` as the parameters `names`.

    Typer reads names, types and defaults of parameters, so the decorated function has the command's required
    parameters, the shared ones, and the command's other ones.
    """
    shared = list(signature(made, eval_str=True).parameters.values())

    def decorated(command: Callable[..., None]) -> Callable[..., None]:
        own = [p for p in signature(command, eval_str=True).parameters.values() if p.name not in names]

        @wraps(command)
        def taking(**values: Any) -> None:
            given = made(**{parameter.name: values.pop(parameter.name) for parameter in shared})
            command(**dict(zip(names, given, strict=True)), **values)

        del taking.__wrapped__  # type: ignore[attr-defined]  # or its signature would be taken
        shown = sorted((*shared, *own), key=lambda parameter: parameter.default is not parameter.empty)
        taking.__signature__ = Signature(shown)  # type: ignore[attr-defined]
        taking.__annotations__ = {parameter.name: parameter.annotation for parameter in shown}
        return taking

    return decorated
