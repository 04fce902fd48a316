"""Settings: what shapes the results (hashed into every run key) and what only shapes the run.

What shapes the run takes flag, environment (`OROGRAPH_...`), default, in this order; what shapes the results has no
environment, so that equal commands make equal keys everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from orograph.pipeline.core.network_adjustment import Adjustment
from orograph.pipeline.core.precision import DEFAULT_PRECISION, Precision
from orograph.pipeline.errors import ConfigError

NETWORK_OPTIONS: Final = frozenset({"superres_ensemble", "superres_gate", "superres_device", "superres_precision"})
"""Settings that only networks know; they came after results had been published."""


class ProcessingSettings(BaseModel):
    """Everything that changes heights; two runs with equal settings and inputs give equal bytes.

    Attributes:
        pixel_size_m: Pixel of the tiles; divides 50 km, at least 1 m.
        target_frame: Vertical frame of the products, an id of the vertical catalogue.
        coregistration: Method by name (`none`, `nuth-kaab`, or a composition such as `vertical-shift+nuth-kaab`).
        max_shift_m: Estimated horizontal shifts beyond this are refused.
        superres: `none`, an exact interpolant (`gdal-cubic`, `keys6`, `bspline`), `sensor` for the best linear filter of
            each source's sensor model, or a network's name.
        superres_ensemble: Mean with a second network or over eight symmetries; networks only.
        superres_gate: Keep cubic where the network's gain is not significant; networks only.
        superres_device: `cpu` or `cuda`, where the network runs; each repeats its own bits, not the other's.
        superres_precision: `fp32`, which every machine computes, or `bf16` or `fp16` for less time on hardware that
            convolves in it; other hardware then takes `fp32`, and heights differ by centimetres.
        bare_earth: `none`, a model's registry name, `opening`, or `auto` for the model trained at each source's pixels;
            applied to surface models only.
        blend_width_m: Width of the feather inside the lower-priority source.
        fill_max_m: Voids that do not fit a square of this side stay void.
        adjustments: Source ids, each with its share of a network adjustment (`orograph borders --adjust`); none unless asked for.
        control: File of control points that finished tiles are measured against, see `orograph validate`; none when empty.
        control_frame: Vertical frame of the control, where its file declares none.
        stages: Stages in order; adding one is a file, this line and its tests.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    pixel_size_m: float = 10.0
    target_frame: str = "EPSG:5621"
    coregistration: str = "nuth-kaab"
    max_shift_m: float = Field(default=60.0, gt=0)
    superres: str = "keys6"
    superres_ensemble: bool = False
    superres_gate: bool = False
    superres_device: Literal["cpu", "cuda"] = "cpu"
    superres_precision: Precision = DEFAULT_PRECISION
    bare_earth: str = "none"
    blend_width_m: float = Field(default=200.0, ge=0)
    fill_max_m: float = Field(default=300.0, ge=0)
    compression: Literal["zstd", "lerc-zstd"] = "zstd"
    lerc_max_error_m: float = Field(default=0.005, ge=0)
    adjustments: tuple[tuple[str, Adjustment], ...] = ()
    control: str = ""
    control_frame: str = ""
    stages: tuple[str, ...] = ("regrid", "blend", "fill")

    @classmethod
    def with_values(cls, values: Mapping[str, object]) -> Self:
        """Settings with some values other than the defaults.

        Raises:
            ConfigError: a name no setting has, or a value it cannot take.
        """
        unknown = sorted(set(values) - set(cls.model_fields))
        if unknown:
            raise ConfigError(f"unknown setting {unknown[0]!r}", remedy=f"known are {', '.join(cls.model_fields)}")
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            raise ConfigError(f"setting {first_fault(error)}") from error

    @field_validator("pixel_size_m")
    @classmethod
    def _divides_the_tile(cls, value: float) -> float:
        from orograph.pipeline.core.grid import pixels_per_tile

        pixels_per_tile(value)
        return value

    @property
    def superres_options(self) -> dict[str, Any]:
        """What the resolver is asked for beyond its defaults."""
        fields = type(self).model_fields
        return {
            name.removeprefix("superres_"): getattr(self, name)
            for name in sorted(NETWORK_OPTIONS)
            if getattr(self, name) != fields[name].default
        }

    @property
    def rounding_m(self) -> float:
        """Standard deviation of what lossy compression does to stored heights: even errors up to its limit."""
        return self.lerc_max_error_m / math.sqrt(3.0) if self.compression == "lerc-zstd" else 0.0

    def identity(self) -> dict[str, Any]:
        """What goes into a run key: all settings, the later ones only where they are used, so that older keys stay."""
        used = {f"superres_{name}" for name in self.superres_options}
        return self.model_dump(mode="json", exclude=set(NETWORK_OPTIONS - used) | self._without_control)

    @property
    def _without_control(self) -> set[str]:
        """Fields that are left out where no control is used."""
        return set() if self.control else {"control", "control_frame"}

    def document(self) -> dict[str, Any]:
        """The settings as a manifest records them."""
        return self.model_dump(mode="json", exclude=self._without_control)


class EnvironmentSettings(BaseSettings):
    """Settings by flag, environment or default; a variable set to nothing counts as not set."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    @classmethod
    def with_flags(cls, **flags: object) -> Self:
        """Settings from the environment, overridden by the flags that were given.

        Raises:
            ConfigError: a value a setting cannot take.
        """
        try:
            return cls(**{name: value for name, value in flags.items() if value is not None})  # type: ignore[arg-type]
        except ValidationError as error:
            raise ConfigError(f"setting {first_fault(error)}") from error
        except SettingsError as error:
            raise ConfigError(str(error), remedy="lists are written as JSON") from error


class RunSettings(EnvironmentSettings):
    """How and where a run happens; changes no height.

    Attributes:
        store: Folder or `s3://bucket/prefix` the products go to.
        engine: `local` or `ray`.
        workers: Tiles at once; 0 or `auto` takes as many as cores and memory hold (on Ray: as the cluster holds).
        scratch: Folder for temporary files; the system's when empty.
        grids_dir: Folder of geoid grids.
        s3_endpoint_url: Of the store's S3 server if it is not AWS; also of sources that use its credentials and name no
            endpoint in their `access`.
        cache_dir: Folder of the node's cache of source bytes; below `scratch` or the system's temporary folder when empty.
        cache_mb: Bound of that cache; 0 keeps none.
        deadline_s: Longest time one tile may take; a single worker in the command's own process keeps none.
        attempts: Tries of a tile before it is quarantined.
        ray_address: Of the Ray cluster; empty takes `RAY_ADDRESS`, the job's own, or starts one here.
        cpus_per_worker, gpus_per_worker, memory_mb_per_worker: What Ray keeps for each; 1/k lets k share a GPU.
        autoscaling: The cluster grows on demand, so a resource it lacks now may come.
        price_per_worker_hour: For the cost in the report.
        memory_limit_mb: Tiles and cells whose projected peak is above are refused.
    """

    model_config = SettingsConfigDict(env_prefix="OROGRAPH_")

    store: str = "runs/store"
    engine: Literal["local", "ray"] = "local"
    workers: Annotated[int, BeforeValidator(lambda value: 0 if value == "auto" else value)] = Field(default=0, ge=0)
    scratch: Path | None = None
    cache_dir: Path | None = None
    cache_mb: int = Field(default=4096, ge=0)
    grids_dir: Path = Path.home() / ".local/share/orograph/grids"
    s3_endpoint_url: str | None = None
    deadline_s: float = Field(default=3600.0, gt=0)
    attempts: int = Field(default=3, ge=1)
    ray_address: str | None = None
    cpus_per_worker: float = Field(default=1.0, gt=0)
    gpus_per_worker: float = Field(default=0.0, ge=0)
    memory_mb_per_worker: int = Field(default=0, ge=0)
    autoscaling: bool = False
    price_per_worker_hour: float = Field(default=0.0, ge=0)
    memory_limit_mb: int = Field(default=1500, gt=0)


def first_fault(error: ValidationError) -> str:
    """The first thing a value was refused for, on one line: where, and why."""
    fault = error.errors(include_url=False)[0]
    return f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}".removeprefix(": ").removeprefix("Value error, ")
