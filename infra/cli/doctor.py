"""`orograph doctor`: check this machine, with a remedy for each problem."""

from __future__ import annotations

from typing import Annotated

import typer

from orograph.infra.cli import options
from orograph.infra.reporting.console import out, print_json


def doctor(
    store: options.StoreUrl = None,
    grids_dir: options.GridsDir = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Check PROJ and its grids, GDAL options, Ray, GPU, memory, disk and the store."""
    from orograph.infra.machine.doctor import Severity, examine
    from orograph.pipeline.settings import RunSettings

    findings = examine(RunSettings.with_flags(store=store, grids_dir=grids_dir))
    if as_json:
        print_json(
            [{"subject": f.subject, "level": str(f.level), "text": f.text, "remedy": f.remedy} for f in findings]
        )
    else:
        marks = {
            Severity.OK: "[green]ok     [/]",
            Severity.WARNING: "[yellow]warning[/]",
            Severity.FAILURE: "[red]failure[/]",
        }
        for finding in findings:
            out.print(f"{marks[finding.level]} {finding.subject:<13}", end="")
            out.print(finding.text + (f" — {finding.remedy}" if finding.remedy else ""), markup=False)
    if any(finding.level is Severity.FAILURE for finding in findings):
        raise typer.Exit(1)
