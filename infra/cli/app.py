"""The `orograph` command: registers every command, each from its own module.

Command modules import heavy libraries inside their functions, so that `orograph --help` is fast.
"""

from __future__ import annotations

import gc
import sys
from typing import Final

import typer

from orograph.infra.cli import (
    balance,
    borders,
    catalog,
    coregister,
    derive,
    evaluate,
    export,
    grids,
    harmonise,
    height,
    implicit,
    ordinal,
    sources,
    status,
    submit,
    superres,
    train,
    validate,
)
from orograph.infra.cli.characterise import characterise
from orograph.infra.cli.common import ending
from orograph.infra.cli.demo import demo
from orograph.infra.cli.doctor import doctor
from orograph.infra.cli.ingest import ingest
from orograph.infra.cli.inspect import inspect
from orograph.infra.cli.plain_help import PlainGroup
from orograph.infra.cli.plan import plan
from orograph.infra.cli.run import run
from orograph.infra.cli.serve import keys, serve
from orograph.infra.engines.environment import apply_blas_env, apply_gdal_env
from orograph.infra.reporting.console import out
from orograph.pipeline.version import __version__

_COLLECT_AFTER_OBJECTS: Final = 10_000
"""Python's own limit is 700."""

app = typer.Typer(
    name="orograph",
    cls=PlainGroup,
    help="One seamless, harmonised terrain model from open elevation data.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def version_option(version: bool = typer.Option(False, "--version", help="Print the version and stop.")) -> None:
    """One seamless, harmonised terrain model from open elevation data."""
    if version:
        out.print(f"orograph {__version__}")
        raise typer.Exit


# Commands, one line each, in the order of the help text.
app.command()(demo)
app.command()(doctor)
app.command()(plan)
app.command()(run)
app.command(context_settings={"ignore_unknown_options": True})(submit.submit)
app.command()(status.status)
app.command()(balance.balance)
app.command()(coregister.coregister)
app.command()(serve)
app.add_typer(keys)
app.add_typer(implicit.app, name="implicit")
app.command(name="export")(export.export)
app.add_typer(derive.app, name="derive")
app.add_typer(catalog.app, name="catalog")
app.command()(ingest)
app.command()(inspect)
app.command(context_settings={"ignore_unknown_options": True})(height.height)
app.command()(harmonise.harmonise)
app.command()(borders.borders)
app.command()(validate.validate)
sources.app.command()(characterise)
app.add_typer(sources.app, name="sources")
app.add_typer(grids.app, name="grids")
app.command()(superres.superres)
app.command()(evaluate.evaluate)
app.command()(train.train)
app.add_typer(ordinal.app, name="ordinal")


def main() -> None:
    """Entry point of the console script."""
    apply_gdal_env()
    apply_blas_env()
    # Imported modules stay, and a plan of Europe makes hundreds of thousands of objects without cycles: searching them for
    # garbage would be a tenth of its time.
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER_OBJECTS)
    sys.exit(ending(lambda: app(standalone_mode=True)))


if __name__ == "__main__":
    main()
