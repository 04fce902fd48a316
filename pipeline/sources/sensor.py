"""Sensor model of a source: footprint and noise of its heights, with standard errors and origin."""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path
from typing import Final, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from orograph.pipeline.core.yaml_text import parse_yaml
from orograph.pipeline.errors import ConfigError
from orograph.pipeline.settings import first_fault

BUNDLED: Final = Path(__file__).with_name("sensors.yaml")

RESOLVER: Final = "sensor"
"""Name of the resolver that uses sensor models."""
NET_RESOLVER: Final = "sensor-net"
"""Name of the resolver that corrects that one by a network."""
RESOLVERS: Final = (RESOLVER, NET_RESOLVER)
_TYPICAL_SLOPE: Final = 0.4
_BOX_SIGMA: Final = 1.0 / math.sqrt(12.0)
"""Standard deviation of a box of unit width."""


_OTHERS: Final = ("canopy_share", "error_factor", "error_factor_per_slope", "offset_per_slope_m")
"""Parameters without a standard error; assumed where nothing was measured."""


class SensorErrors(BaseModel):
    """Standard errors of a measured sensor model; None where a parameter was assumed or given by the producer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    footprint_m: float | None = Field(default=None, ge=0)
    noise_m: float | None = Field(default=None, ge=0)
    noise_per_slope_m: float | None = Field(default=None, ge=0)
    noise_per_relief: float | None = Field(default=None, ge=0)
    noise_range_m: float | None = Field(default=None, ge=0)


class SensorModel(BaseModel):
    """Model of a source's heights: a Gaussian footprint on the terrain, then noise, then rounding.

    The noise of a height on terrain of slope s and relief q has the variance noise_m**2 + (noise_per_slope_m * tan s)**2
    + (noise_per_relief * q)**2, where q is the standard deviation of the terrain in waves of 100 to 200 m. Its
    correlation over a distance d is Matern's of order 3/2, (1 + d / r) exp(-d / r) with r = noise_range_m.

    Attributes:
        footprint_m: Standard deviation of the point-spread function along columns (west to east), metres.
        footprint_rows_m: The same along rows; None for equal.
        noise_m: Standard deviation of a height's noise on level open terrain, metres.
        noise_per_slope_m: Additional standard deviation per unit of slope; a horizontal position error, metres.
        noise_per_relief: Additional standard deviation per metre of relief; the footprint's own irregularity.
        noise_range_m: Range of the noise's correlation, metres; 0 for white noise.
        step_m: Step heights are rounded to, metres.
        canopy_share: Share of the canopy's height that the sensor measures: 1 at its top, 0 at the terrain below it.
        error_factor: Factor of the stated errors on level terrain: measured over modelled.
        error_factor_per_slope: Increase of that factor per square of the slope; radar fails on cliffs beyond its model.
        offset_per_slope_m: Standard deviation, per unit of slope, of an offset that is the same over a slope.
        errors: Standard errors of the parameters.
        origin: How the values were obtained.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    footprint_m: float = Field(ge=0)
    footprint_rows_m: float | None = Field(default=None, ge=0)
    noise_m: float = Field(ge=0)
    noise_per_slope_m: float = Field(default=0.0, ge=0)
    noise_per_relief: float = Field(default=0.0, ge=0)
    noise_range_m: float = Field(default=0.0, ge=0)
    step_m: float = Field(default=0.0, ge=0)
    canopy_share: float | None = Field(default=None, ge=0, le=1)
    error_factor: float = Field(default=1.0, gt=0)
    error_factor_per_slope: float = Field(default=0.0, ge=0)
    offset_per_slope_m: float = Field(default=0.0, ge=0)
    errors: SensorErrors = SensorErrors()
    origin: str = ""

    @classmethod
    def declared(cls, pixel_size_m: float, averaged: bool, noise_m: float = 0.0) -> Self:
        """Model of a source without a measured one: samples, or means over the pixel, with the declared noise."""
        footprint = pixel_size_m * _BOX_SIGMA if averaged else 0.0
        return cls(footprint_m=footprint, noise_m=noise_m, origin="derived from the declared thinning and noise")

    @property
    def sigmas_m(self) -> tuple[float, float]:
        """Standard deviations of the point-spread function along columns and along rows."""
        return self.footprint_m, self.footprint_m if self.footprint_rows_m is None else self.footprint_rows_m

    @property
    def assumed(self) -> tuple[str, ...]:
        """Names of the parameters that are not zero and were not measured."""
        stated = {name: getattr(self, name) for name in SensorErrors.model_fields}
        names = [name for name, value in stated.items() if value and getattr(self.errors, name) is None]
        if names and len(names) == sum(map(bool, stated.values())):
            names += [name for name in _OTHERS if getattr(self, name) != type(self).model_fields[name].default]
        return tuple(names)

    @property
    def step_variance(self) -> float:
        """Variance of rounding, square metres."""
        return self.step_m**2 / 12.0

    @property
    def typical_variance(self) -> float:
        """Variance of noise and offset on the hills and mountains that accuracies are stated for, square metres."""
        by_slope = self.noise_per_slope_m**2 + self.offset_per_slope_m**2
        return self.noise_m**2 + self.step_variance + _TYPICAL_SLOPE**2 * by_slope

    def identity(self) -> dict[str, object]:
        """Parameters that change heights or their stated errors, for run keys."""
        return self.model_dump(mode="json", exclude={"errors", "origin"})


@lru_cache(maxsize=1)
def bundled_sensors() -> dict[str, SensorModel]:
    """Bundled sensor models by name."""
    document = parse_yaml(BUNDLED.read_text(encoding="utf-8"))
    return {name: SensorModel.model_validate(entry) for name, entry in document.items()}


def bundled_sensor(name: str) -> SensorModel:
    """A bundled sensor model.

    Raises:
        ValueError: No sensor model has the name.
    """
    known = bundled_sensors()
    if name not in known:
        raise ValueError(f"no sensor model is called {name!r}; bundled are {', '.join(known)}")
    return known[name]


def read_sensor(name: str) -> SensorModel:
    """A sensor model by bundled name, or from a YAML file of its parameters.

    Raises:
        ConfigError: The name or file does not exist, or the file is not a sensor model.
    """
    path = Path(name)
    if path.suffix.lower() not in {".yaml", ".yml"}:
        try:
            return bundled_sensor(name)
        except ValueError as error:
            raise ConfigError(str(error), remedy="or give a YAML file with footprint_m and noise_m") from error
    try:
        return SensorModel.model_validate(parse_yaml(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"sensor model {path} cannot be read: {error}") from error
    except ValidationError as error:
        raise ConfigError(
            f"sensor model {path}: {first_fault(error)}", remedy="footprint_m and noise_m are the least it needs"
        ) from error
