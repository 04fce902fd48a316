"""`orograph submit`: submit a command as a job to a Ray cluster and show its output."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from orograph.infra.reporting.console import err


def submit(
    ctx: typer.Context,
    arguments: Annotated[list[str], typer.Argument(help="Command to run there, e.g. `run --area 5,45,16,48`.")],
    address: Annotated[
        str | None,
        typer.Option("--address", help="The cluster's dashboard.", show_default="RAY_ADDRESS, or port 8265 here"),
    ] = None,
    env: Annotated[list[str], typer.Option("--env", help="NAME=VALUE for the job; no secrets; repeatable.")] = [],  # noqa: B006
    installed: Annotated[
        bool, typer.Option("--installed", help="The cluster's image contains Orograph: upload no code.")
    ] = False,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Print the submission id and leave.")] = False,
) -> None:
    """Run a command on a Ray cluster; submitting the same again joins or resumes it."""
    from orograph.infra.cluster import submit as submitting
    from orograph.pipeline.errors import UsageError

    root: Any = ctx.find_root().command  # Typer contains its own click, whose types are private.
    if arguments[0] not in root.commands:
        raise UsageError(f"{arguments[0]!r} is not a command", remedy="say `orograph submit -- run --area ...`")
    submission = submitting.submission_of(arguments, env, installed=installed)
    client, name = submitting.submit(address, submission, lambda text: err.print(text, markup=False))
    if no_wait:
        sys.stdout.write(f"{name}\n")
        return
    code = submitting.follow(client, name, _write)
    err.print(f"{name} ended with exit code {code}", markup=False)
    if code:
        raise typer.Exit(code)


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
