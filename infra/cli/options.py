"""Options shared by several commands, and their combination: sources, area, settings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final

import typer

from orograph.infra.cli.common import sharing
from orograph.infra.cli.completion import complete_data, complete_source, complete_tile
from orograph.infra.runs.request import Request
from orograph.pipeline.core.frames import frame_id
from orograph.pipeline.core.network_adjustment import Adjustment, AdjustmentFile
from orograph.pipeline.errors import ConfigError
from orograph.pipeline.settings import ProcessingSettings
from orograph.pipeline.sources.catalogue import BUNDLED_CATALOGUE

STORE: Final = "OROGRAPH_STORE, else runs/store"
GRIDS: Final = "OROGRAPH_GRIDS_DIR, else ~/.local/share/orograph/grids"
"""How the defaults of settings are shown; the settings themselves are in `pipeline.settings`."""

Catalogue = Annotated[
    Path, typer.Option("--catalogue", "-c", help="YAML catalogue of sources.", show_default="the bundled one")
]
SourceIds = Annotated[
    list[str],
    typer.Option(
        "--source",
        "-s",
        help="Source id; repeatable.",
        autocompletion=complete_source,
        show_default="those of --data, else all that can be used as they are",
    ),
]
DataFiles = Annotated[
    list[str],
    typer.Option(
        "--data",
        "-d",
        help="Where a source's files are, ID=PATH or ID='FOLDER/*.tif'; repeatable.",
        autocompletion=complete_data,
    ),
]
TileIds = Annotated[
    list[str],
    typer.Option("--tile", "-t", help="Tile id such as E4300N2650; repeatable.", autocompletion=complete_tile),
]
Area = Annotated[str, typer.Option("--area", "-a", help="west,south,east,north in degrees.")]
Aoi = Annotated[Path | None, typer.Option("--aoi", help="GeoJSON of the area.")]
AcceptUnverified = Annotated[
    list[str],
    typer.Option(
        "--accept-unverified",
        help="Source id whose unverified facts you have confirmed (`orograph sources show ID`); repeatable.",
        autocompletion=complete_source,
    ),
]
PixelSize = Annotated[
    float | None, typer.Option("--pixel-size", "-p", help="Metres; divides 50 km, at least 1.", show_default="10")
]
Target = Annotated[
    str | None,
    typer.Option(
        "--target",
        help="Vertical frame of the products, by code or name (EVRF2007).",
        show_default="EPSG:5621, which is EVRF2007",
    ),
]
Strict = Annotated[bool, typer.Option("--strict", help="Stop at suspicious samples instead of warning.")]
Setting = Annotated[
    list[str],
    typer.Option("--set", help="Any other processing setting, NAME=VALUE; repeatable; `--settings` lists them."),
]
StoreUrl = Annotated[
    str | None, typer.Option("--store", "-o", help="Folder or s3://bucket/prefix for the products.", show_default=STORE)
]
Workers = Annotated[
    str | None,
    typer.Option(
        "--workers",
        "-w",
        help="Tiles or cells at once: a number, or auto for as many as cores and memory (on Ray: the cluster) allow.",
        show_default="auto",
    ),
]
GridsDir = Annotated[
    Path | None, typer.Option("--grids-dir", help="Folder of geoid and datum grids.", show_default=GRIDS)
]


def takes_request(command: Callable[..., None]) -> Callable[..., None]:
    """Decorator: passes the `Request` and `ProcessingSettings` made from the planning options to a command."""
    return sharing(_shared, "request", "processing")(command)


def _shared(
    catalogue: Catalogue = BUNDLED_CATALOGUE,
    source: SourceIds = [],  # noqa: B006 - typer reads the default, nothing writes it
    data: DataFiles = [],  # noqa: B006
    tile: TileIds = [],  # noqa: B006
    area: Area = "",
    aoi: Aoi = None,
    strict: Strict = False,
    pixel_size: PixelSize = None,
    target: Target = None,
    setting: Setting = [],  # noqa: B006
    accept_unverified: AcceptUnverified = [],  # noqa: B006
) -> tuple[Request, ProcessingSettings]:
    request = Request(catalogue, tuple(source), tuple(data), tuple(tile), area, aoi, strict, tuple(accept_unverified))
    return request, processing_settings(pixel_size, target, setting)


def processing_settings(pixel_size: float | None, target: str | None, extra: list[str]) -> ProcessingSettings:
    """Processing settings from flags and defaults.

    Raises:
        ConfigError: no setting has this name, or the value is not allowed.
    """
    values: dict[str, object] = {}
    for option in extra:
        name, separator, value = option.partition("=")
        if not separator or name not in ProcessingSettings.model_fields:
            known = ", ".join(ProcessingSettings.model_fields)
            raise ConfigError(
                f"--set {option!r} is not a setting",
                remedy=f"settings: {known}; `orograph plan --settings` explains them",
            )
        values[name] = tuple(value.split(",")) if name == "stages" else value
    if pixel_size is not None:
        values["pixel_size_m"] = pixel_size
    if target is not None:
        values["target_frame"] = target
    if "adjustments" in values:
        values["adjustments"] = _adjustments(Path(str(values["adjustments"])), values.get("target_frame"))
    return ProcessingSettings.with_values(values)


def _adjustments(path: Path, target: object) -> tuple[tuple[str, Adjustment], ...]:
    """Corrections that `orograph borders --adjust` wrote, if they are for this target frame."""
    kept = AdjustmentFile.read(path)
    frame = frame_id(str(target)) if target else ProcessingSettings().target_frame
    if kept.target_frame != frame:
        raise ConfigError(f"{path.name} adjusts heights in {kept.target_frame}, the target is {frame}")
    return tuple(sorted(kept.sources.items()))
