"""`orograph sources characterise`: measure footprint and noise of a source."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from orograph.infra.reporting.console import out, print_json


def characterise(
    raster: Annotated[Path, typer.Argument(help="Raster of the source's heights in metres.")],
    finer: Annotated[
        Path | None, typer.Option(help="Finer terrain model of the same place, in any CRS; without one, spectra alone.")
    ] = None,
    mask: Annotated[
        Path | None,
        typer.Option(help="Raster on the finer model's grid: only pixels other than 0, such as open terrain."),
    ] = None,
    catalogue: Annotated[
        Path | None, typer.Option("--catalogue", "-c", help="Write the result into this catalogue, with --source.")
    ] = None,
    source: Annotated[str | None, typer.Option(help="Id of the catalogue entry to write to.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document instead of a table.")] = False,
) -> None:
    """Measure a source's sensor model: footprint, noise and their standard errors."""
    from orograph.pipeline.errors import ConfigError
    from orograph.pipeline.learning.sensors.characterise import characterise as measure
    from orograph.pipeline.learning.sensors.characterise import entry_of, write_entry

    if (catalogue is None) != (source is None):
        raise ConfigError("--catalogue and --source belong together", remedy="give both, or neither")
    sensor = measure(raster, finer, mask)
    if catalogue is not None and source is not None:
        write_entry(catalogue, source, sensor)
    if as_json:
        print_json(entry_of(sensor))
        return
    across, along = sensor.sigmas_m
    errors = sensor.errors
    rows = (
        ("footprint, along columns / rows", f"{across:.1f} / {along:.1f} m", errors.footprint_m),
        ("noise on level terrain", f"{sensor.noise_m:.2f} m", errors.noise_m),
        ("noise per unit of slope", f"{sensor.noise_per_slope_m:.2f} m", errors.noise_per_slope_m),
        ("range of the noise's correlation", f"{sensor.noise_range_m:.1f} m", errors.noise_range_m),
        ("rounding step", f"{sensor.step_m:g} m", None),
    )
    for name, value, error in rows:
        out.print(f"{name:34}{value}" + ("" if error is None else f"  (standard error {error:g})"), markup=False)
    out.print(sensor.origin, markup=False)
    if catalogue is not None:
        out.print(f"written to {source} in {catalogue}", markup=False)
