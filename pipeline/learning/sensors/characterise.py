"""Characterise a source: measure its sensor model and write it into a catalogue entry."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import yaml

from orograph.pipeline.core.raster import BoolArray
from orograph.pipeline.errors import ConfigError, InputError, SourceUnknown
from orograph.pipeline.learning.sensors.alone import characterise_alone
from orograph.pipeline.learning.sensors.estimate import SensorEstimate
from orograph.pipeline.learning.sensors.grids import HeightGrid
from orograph.pipeline.learning.sensors.pair import Overlap, characterise_pair
from orograph.pipeline.sources.sensor import SensorErrors, SensorModel
from orograph.pipeline.sources.single_raster import opened_heights

_UNDETERMINED: Final = 0.5
"""Standard error over footprint from which a footprint counts as not determined."""


def characterise(path: Path, finer: Path | None = None, mask: Path | None = None) -> SensorModel:
    """Sensor model of a raster, from itself or against a finer DTM.

    Args:
        path: Raster of the source.
        finer: Terrain heights of the same place with pixels at most half as large, in any CRS.
        mask: Raster on the finer one's grid; pixels other than 0 are used, such as open terrain.

    Raises:
        InputError: The rasters overlap too little, or the mask is on another grid.
        ConfigError: The finer model is not finer, or a mask was given without one.
    """
    source = HeightGrid.read(path)
    if finer is None:
        if mask is not None:
            raise ConfigError("a mask without a finer model", remedy="give the finer model the mask is on")
        estimate = characterise_alone(source)
        origin = f"from the spectra of {estimate.count} windows of {path.name}"
        if estimate.errors.footprint_m > _UNDETERMINED * estimate.parameters.footprint_m:
            origin += ", which do not determine its footprint (give a finer model)"
        return _model(estimate, origin)
    terrain = HeightGrid.read(finer)
    if max(terrain.pixel_size_m) > 0.5 * min(source.pixel_size_m):
        raise ConfigError(
            f"{finer.name} has pixels of {max(terrain.pixel_size_m):.3g} m, {path.name} of {min(source.pixel_size_m):.3g} m",
            remedy="give a model with pixels at most half as large",
        )
    estimate = characterise_pair(Overlap.of(source, terrain, None if mask is None else _mask(mask, terrain)))
    return _model(estimate, f"from {estimate.count} heights of {path.name} against {finer.name}")


def write_entry(catalogue: Path, source_id: str, sensor: SensorModel) -> None:
    """Set `sensor` of an entry in a YAML catalogue.

    Comments of the file are lost: YAML libraries do not keep them.

    Raises:
        ConfigError: The file is not a catalogue.
        SourceUnknown: It has no such entry.
    """
    try:
        document = yaml.safe_load(catalogue.read_text(encoding="utf-8"))
        entries = {entry["id"]: entry for entry in document["sources"]}
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError) as error:
        raise ConfigError(f"source catalogue {catalogue} cannot be read: {error}") from error
    if source_id not in entries:
        raise SourceUnknown(
            f"unknown source {source_id!r}", source=source_id, remedy=f"{catalogue} has {', '.join(entries)}"
        )
    entries[source_id]["sensor"] = entry_of(sensor)
    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120)
    catalogue.write_text(text, encoding="utf-8")


def entry_of(sensor: SensorModel) -> dict[str, Any]:
    """Catalogue entry of a sensor model: only the values that are set."""
    return sensor.model_dump(mode="json", exclude_defaults=True, exclude_none=True)


def _mask(path: Path, terrain: HeightGrid) -> BoolArray:
    with opened_heights(path) as dataset:
        if dataset.shape != terrain.heights_m.shape or not dataset.transform.almost_equals(terrain.transform):
            raise InputError(
                f"{path} is on another grid than the finer model",
                source=str(path),
                remedy="warp it to the finer model's grid with gdalwarp",
            )
        return np.asarray(np.nan_to_num(dataset.read_unchecked(0, 0, *dataset.shape)) != 0)


def _model(estimate: SensorEstimate, origin: str) -> SensorModel:
    found, errors = estimate.parameters, estimate.errors
    footprint_error = math.hypot(errors.footprint_m, errors.footprint_rows_m) / math.sqrt(2.0)
    return SensorModel(
        footprint_m=round(found.footprint_m, 1),
        footprint_rows_m=round(found.footprint_rows_m, 1),
        noise_m=round(found.noise_m, 2),
        noise_per_slope_m=round(found.noise_per_slope_m, 2),
        noise_range_m=round(found.noise_range_m, 1),
        step_m=estimate.step_m,
        errors=SensorErrors(
            footprint_m=_rounded(footprint_error),
            noise_m=_rounded(errors.noise_m),
            noise_per_slope_m=_rounded(errors.noise_per_slope_m),
            noise_range_m=_rounded(errors.noise_range_m),
        ),
        origin=f"{origin}, {datetime.now(UTC).date().isoformat()}",
    )


def _rounded(error: float) -> float | None:
    return round(error, 2) if math.isfinite(error) else None
