"""Options that several commands share, and what they mean together: sources, area, settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orograph.infra.cli.common import sharing
from orograph.pipeline.core.network_adjustment import Adjustment, AdjustmentFile
from orograph.pipeline.errors import ConfigError
from orograph.pipeline.settings import ProcessingSettings, RunSettings, first_fault
from orograph.pipeline.sources.catalogue import SHIPPED_CATALOGUE, Files, Source, SourceCatalogue

if TYPE_CHECKING:  # geometry and rasters are heavy, and `orograph --help` needs neither
    from orograph.pipeline.planning.planner import Plan

Catalogue = Annotated[
    Path, typer.Option("--catalogue", "-c", help="YAML catalogue of sources.", show_default="the one that ships")
]
SourceIds = Annotated[
    list[str],
    typer.Option(
        "--source", "-s", help="Source id; repeat for several. Default: those of --data, else all of the catalogue."
    ),
]
DataFiles = Annotated[
    list[str], typer.Option("--data", "-d", help="Where a source's files are, ID=PATH or pattern; repeatable.")
]
TileIds = Annotated[list[str], typer.Option("--tile", "-t", help="Tile id such as E4300N2650; repeatable.")]
Area = Annotated[str, typer.Option("--area", "-a", help="west,south,east,north in degrees.")]
Aoi = Annotated[Path | None, typer.Option("--aoi", help="GeoJSON of the area.")]
PixelSize = Annotated[float | None, typer.Option("--pixel-size", "-p", help="Metres; divides 50 km, at least 1.")]
Target = Annotated[str | None, typer.Option("--target", help="Vertical frame of the products, e.g. EPSG:5621.")]
Setting = Annotated[
    list[str],
    typer.Option("--set", help="Any other processing setting, NAME=VALUE; repeatable (orograph plan --settings)."),
]
StoreUrl = Annotated[str | None, typer.Option("--store", "-o", help="Folder or s3://bucket/prefix for the products.")]
Workers = Annotated[
    str | None,
    typer.Option(
        "--workers",
        "-w",
        help="Tiles or cells at once: a number, or auto for what cores and memory (on Ray: the cluster) hold.",
        show_default="auto",
    ),
]
GridsDir = Annotated[Path | None, typer.Option("--grids-dir", help="Folder of geoid and datum grids.")]


@dataclass(frozen=True, slots=True)
class Request:
    """What a person asked to be made, from where, how.

    Attributes:
        catalogue, source_ids, data: Sources to use and where their files are.
        tiles, area, aoi: Where; nothing means all that listed files cover.
    """

    catalogue: Path = SHIPPED_CATALOGUE
    source_ids: tuple[str, ...] = ()
    data: tuple[str, ...] = ()
    tiles: tuple[str, ...] = ()
    area: str = ""
    aoi: Path | None = None

    def sources(self) -> tuple[Source, ...]:
        """The sources, their data where `--data` says.

        Raises:
            SourceUnknown, ConfigError: naming the id or option.
        """
        catalogue = SourceCatalogue.load(self.catalogue)
        places: dict[str, list[str]] = {}
        for option in self.data:
            source_id, separator, href = option.partition("=")
            if not separator or not href:
                raise ConfigError(f"--data {option!r} is not ID=PATH")
            places.setdefault(source_id, []).append(href if "://" in href else str(Path(href).absolute()))
        ids = self.source_ids or tuple(places) or tuple(source.id for source in catalogue.sources)
        chosen = [catalogue.get(source_id) for source_id in dict.fromkeys((*ids, *places))]
        return tuple(
            source.model_copy(update={"data": Files(hrefs=tuple(places[source.id]))}) if source.id in places else source
            for source in chosen
        )

    def plan(self, settings: ProcessingSettings, run: RunSettings) -> Plan:
        """Tiles and their files, identified."""
        from orograph.infra.runs.fetch import Fetcher
        from orograph.pipeline.core.grid import Tile
        from orograph.pipeline.planning.areas import tiles_of_bbox, tiles_of_geojson
        from orograph.pipeline.planning.planner import Planner
        from orograph.pipeline.resampling.horizontal import use_grids

        use_grids(run.grids_dir)

        def probe(href: str, anonymous: bool) -> Any:
            return Fetcher(endpoint_url=run.s3_endpoint_url, anonymous=anonymous).probe(href)

        planner = Planner(self.sources(), settings, probe)
        if self.tiles:
            return planner.plan([Tile.parse(text) for text in self.tiles])
        if self.area:
            return planner.plan(tiles_of_bbox(*_numbers(self.area)), asked_for=False)
        if self.aoi is not None:
            return planner.plan(tiles_of_geojson(self.aoi), asked_for=False)
        return planner.plan(planner.covered_tiles(), asked_for=False)


def takes_request(command: Callable[..., None]) -> Callable[..., None]:
    """A command that is given a `Request` and the `ProcessingSettings`, made of the options that all planning shares."""
    return sharing(_asked, "request", "processing")(command)


def _asked(
    catalogue: Catalogue = SHIPPED_CATALOGUE,
    source: SourceIds = [],  # noqa: B006 - typer reads the default, nothing writes it
    data: DataFiles = [],  # noqa: B006
    tile: TileIds = [],  # noqa: B006
    area: Area = "",
    aoi: Aoi = None,
    pixel_size: PixelSize = None,
    target: Target = None,
    setting: Setting = [],  # noqa: B006
) -> tuple[Request, ProcessingSettings]:
    request = Request(catalogue, tuple(source), tuple(data), tuple(tile), area, aoi)
    return request, processing_settings(pixel_size, target, setting)


def processing_settings(pixel_size: float | None, target: str | None, extra: list[str]) -> ProcessingSettings:
    """Processing settings from flags over defaults.

    Raises:
        ConfigError: a name no setting has or a value it cannot take.
    """
    from pydantic import ValidationError

    values: dict[str, object] = {}
    for option in extra:
        name, separator, value = option.partition("=")
        if not separator or name not in ProcessingSettings.model_fields:
            known = ", ".join(ProcessingSettings.model_fields)
            raise ConfigError(f"--set {option!r} names no setting", remedy=f"known are {known}")
        values[name] = tuple(value.split(",")) if name == "stages" else value
    if pixel_size is not None:
        values["pixel_size_m"] = pixel_size
    if target is not None:
        values["target_frame"] = target
    if "adjustments" in values:
        values["adjustments"] = _adjustments(Path(str(values["adjustments"])), values.get("target_frame"))
    try:
        return ProcessingSettings.model_validate(values)
    except ValidationError as error:
        raise ConfigError(f"setting {first_fault(error)}") from error


def _adjustments(path: Path, target: object) -> tuple[tuple[str, Adjustment], ...]:
    """Corrections that `orograph borders --adjust` wrote, if they are for this target frame."""
    kept = AdjustmentFile.read(path)
    frame = target or ProcessingSettings().target_frame
    if kept.target_frame != frame:
        raise ConfigError(f"{path.name} adjusts heights in {kept.target_frame}, the target is {frame}")
    return tuple(sorted(kept.sources.items()))


def _numbers(text: str) -> tuple[float, float, float, float]:
    try:
        west, south, east, north = (float(part) for part in text.split(","))
    except ValueError as error:
        raise ConfigError(f"--area {text!r} is not west,south,east,north") from error
    return west, south, east, north
