"""`orograph grids`: list and download geoid grids."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from orograph.infra.reporting.console import err, out, print_json
from orograph.pipeline.core.frames import frame_id
from orograph.pipeline.settings import RunSettings

_LARGE_BYTES = 50_000_000

app = typer.Typer(help="List and download geoid grids.", no_args_is_help=True)

GridsDir = Annotated[
    Path | None,
    typer.Option(
        "--grids-dir",
        help="Folder of geoid grids.",
        show_default="OROGRAPH_GRIDS_DIR, else ~/.local/share/orograph/grids",
    ),
]


def grids_folder(given: Path | None) -> Path:
    """The folder of grids: flag, environment, default."""
    return given if given is not None else RunSettings.with_flags().grids_dir


@app.command("list")
def list_grids(
    grids_dir: GridsDir = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the catalogue's grids and their state: installed, missing, or different from the pinned file."""
    from rich.table import Column, Table

    from orograph.pipeline.vertical import VerticalCatalogue, grid_states

    catalogue, folder = VerticalCatalogue.load(), grids_folder(grids_dir)
    states = grid_states(catalogue.grids, folder)
    serves = {
        name: sorted({entry.frame_from for entry in catalogue.operations if entry.grid == name})
        for name in catalogue.grids
    }
    if as_json:
        document = [
            {
                "name": state.name,
                "state": state.state,
                "sha256": catalogue.grids[state.name].sha256,
                "size_bytes": catalogue.grids[state.name].size_bytes,
                "licence": catalogue.grids[state.name].licence,
                "attribution": catalogue.grids[state.name].attribution,
                "frames": serves[state.name],
            }
            for state in states
        ]
        print_json({"folder": str(folder), "grids": document})
        return
    table = Table(Column("grid", no_wrap=True, overflow="fold"), "state", "size", "frames", "licence", box=None)
    colours = {"ok": "green", "missing": "yellow", "corrupt": "bold red"}
    for state in states:
        grid = catalogue.grids[state.name]
        size = f"{grid.size_bytes / 1e6:.1f} MB"
        colour = colours[state.state]
        table.add_row(state.name, f"[{colour}]{state.state}[/]", size, " ".join(serves[state.name]), grid.licence)
    out.print(table)
    present = sum(state.state == "ok" for state in states)
    out.print(f"{present} of {len(states)} grids in {folder}")


@app.command("fetch")
def fetch(
    names: Annotated[
        list[str] | None, typer.Argument(help="Grids to fetch.", show_default="all except EGM2008, 81 MB")
    ] = None,
    frames: Annotated[list[str] | None, typer.Option("--for", help="Grids of this frame; may be repeated.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every grid, EGM2008 (81 MB) too.")] = False,
    url: Annotated[
        str | None, typer.Option(envvar="OROGRAPH_GRIDS_URL", help="Mirror of the PROJ CDN, for closed networks.")
    ] = None,
    grids_dir: GridsDir = None,
) -> None:
    """Fetch grids from the PROJ CDN, checking each against its pinned sha256."""
    from orograph.infra.machine.fetch_grids import fetch_grids
    from orograph.pipeline.vertical import VerticalCatalogue

    catalogue, folder = VerticalCatalogue.load(), grids_folder(grids_dir)
    wanted = list(names or [])
    for named in frames or []:
        catalogue.frame(named)
        frame = frame_id(named)
        wanted += [e.grid for e in catalogue.operations if e.grid and frame in {e.frame_from, e.frame_to}]
    if every or not wanted:
        wanted += [name for name, grid in catalogue.grids.items() if every or grid.size_bytes < _LARGE_BYTES]
    unique = tuple(dict.fromkeys(wanted))
    fetched = fetch_grids(unique, folder, url=url, progress=_reporter())
    for name in fetched:
        out.print(f"{name}  {catalogue.grids[name].licence}  {catalogue.grids[name].attribution}")
    out.print(f"{len(fetched)} fetched, {len(unique) - len(fetched)} were here already, in {folder}")


def _reporter() -> Callable[[str, int, int], None]:
    """A progress callback that says once which grid is coming in."""
    seen: set[str] = set()

    def tell(name: str, _done: int, total: int) -> None:
        if name not in seen:
            seen.add(name)
            err.print(f"fetching {name} ({total / 1e6:.1f} MB)")

    return tell
