"""Settings that change results (hashed into every run key), and settings of the run that do not.

Settings of the run come from flag, environment (`OROGRAPH_...`) or default, in this order. Settings of the results have
no environment variables, so that equal commands make equal keys everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from orograph.pipeline.core.frames import FrameId
from orograph.pipeline.core.network_adjustment import Adjustment
from orograph.pipeline.core.precision import DEFAULT_PRECISION, Precision
from orograph.pipeline.errors import ConfigError

NETWORK_OPTIONS: Final = frozenset({"superres_ensemble", "superres_gate", "superres_precision"})
"""Settings that only super-resolution networks take."""


class ProcessingSettings(BaseModel):
    """Everything that changes heights; two runs with equal settings and inputs give equal bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    pixel_size_m: float = 10.0
    """Pixel size of the tiles in metres; it must divide 50 km and be at least 1."""
    target_frame: FrameId = "EPSG:5621"
    """Vertical frame (datum) of the products, by code or name; `orograph height --frames` lists them."""
    coregistration: str = "nuth-kaab"
    """Coregistration method: `none`, `nuth-kaab`, or a sum such as `vertical-shift+nuth-kaab`."""
    max_shift_m: float = Field(default=60.0, gt=0)
    """Longest horizontal shift in metres that coregistration may apply."""
    superres: str = "keys6"
    """Upsampling of coarse sources: `auto` for what was shown to help each source, `none`, an exact interpolant (`gdal-cubic`, `keys6`, `bspline`), `sensor` (best linear
    filter for each source's sensor model), `sensor-net` (that filter corrected by a network), or a network such as `superres-s`."""
    superres_ensemble: bool = False
    """Average with a second network, or over eight symmetries; networks only."""
    superres_gate: bool = False
    """Keep cubic interpolation where the network's gain is not significant; networks only."""
    superres_precision: Precision = DEFAULT_PRECISION
    """Precision of the network. `fp32` runs on every machine; `bf16` and `fp16`, and `tf32` on GPUs, are faster on hardware that
    supports them. Other hardware then uses `fp32`, and heights differ by centimetres."""
    device: Literal["cpu", "cuda"] = "cpu"
    """Device of networks (super-resolution, bare earth) and of coregistration. Each is deterministic; `cpu` and `cuda` differ in
    the last bits."""
    bare_earth: str = "none"
    """Removal of canopy and buildings from DSMs: `none`, `opening`, `edges` (steps along mapped woods), `fusion` (the
    level of a terrain model such as GEDTM30 under canopy), a model such as `bare-earth-2m`, or `auto` for what was shown to help at the pixels of each source."""
    bare_earth_precision: Precision = DEFAULT_PRECISION
    """Precision of the bare-earth network, as `superres_precision`."""
    blend_width_m: float = Field(default=200.0, ge=0)
    """Width in metres of the transition between two sources, inside the one of lower priority."""
    join_abutting: bool = True
    """Join sources that abut without overlap within the blend width; differences are bounded by both accuracies."""
    fill_max_m: float = Field(default=300.0, ge=0)
    """Voids wider than this many metres stay void."""
    compression: Literal["zstd", "lerc-zstd"] = "zstd"
    """Compression of the COGs: lossless `zstd`, or `lerc-zstd` with a bounded error."""
    lerc_max_error_m: float = Field(default=0.005, ge=0)
    """Largest error in metres of `lerc-zstd`."""
    adjustments: tuple[tuple[str, Adjustment], ...] = ()
    """File of vertical corrections by source that `orograph borders --adjust` wrote."""
    control: str = ""
    """File of control points that finished tiles are compared with, as in `orograph validate`; empty for no
    comparison.
    """
    control_frame: FrameId = ""
    """Vertical frame of the control points, where their file declares none."""
    stages: tuple[str, ...] = ("regrid", "blend", "fill")
    """Stages that each window of a tile passes, in order."""

    @classmethod
    def with_values(cls, values: Mapping[str, object]) -> Self:
        """Return the defaults with some values replaced.

        Raises:
            ConfigError: no setting has this name, or the value is not allowed.
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
        """Options of the resolver that differ from its defaults."""
        fields = type(self).model_fields
        return {
            name.removeprefix("superres_"): getattr(self, name)
            for name in sorted(NETWORK_OPTIONS)
            if getattr(self, name) != fields[name].default
        }

    @property
    def rounding_m(self) -> float:
        """Standard deviation of the rounding by lossy compression, metres: errors are uniform up to its limit."""
        return self.lerc_max_error_m / math.sqrt(3.0) if self.compression == "lerc-zstd" else 0.0

    def identity(self) -> dict[str, Any]:
        """Every setting, as it goes into a run key and a manifest."""
        return self.model_dump(mode="json")


class EnvironmentSettings(BaseSettings):
    """Settings from flags, environment variables or defaults; an empty variable counts as not set."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    @classmethod
    def with_flags(cls, **flags: object) -> Self:
        """Settings from the environment, overridden by the flags that were given.

        Raises:
            ConfigError: a value is not allowed.
        """
        try:
            return cls(**{name: value for name, value in flags.items() if value is not None})  # type: ignore[arg-type]
        except ValidationError as error:
            raise ConfigError(f"setting {first_fault(error)}") from error
        except SettingsError as error:
            raise ConfigError(str(error), remedy="lists are written as JSON") from error


class RunSettings(EnvironmentSettings):
    """Settings of a run's execution; they do not change heights."""

    model_config = SettingsConfigDict(env_prefix="OROGRAPH_", use_attribute_docstrings=True)

    store: str = "runs/store"
    """Folder or `s3://bucket/prefix` for the products."""
    engine: Literal["local", "ray"] = "local"
    """`local` or `ray`."""
    workers: Annotated[int, BeforeValidator(lambda value: 0 if value == "auto" else value)] = Field(default=0, ge=0)
    """Tiles at once; 0 or `auto` uses as many as cores and memory (on Ray: the cluster) allow."""
    scratch: Path | None = None
    """Folder for temporary files; empty uses the system's."""
    cache_dir: Path | None = None
    """Folder of the cache of remote sources, shared by the workers of a node; empty uses one in the scratch folder."""
    cache_mb: int = Field(default=4096, ge=0)
    """Size of that cache in megabytes; 0 disables it."""
    grids_dir: Path = Path.home() / ".local/share/orograph/grids"
    """Folder of geoid grids."""
    s3_endpoint_url: str | None = None
    """Endpoint of the store's S3 server if it is not AWS; also for sources that use its credentials."""
    s3_anonymous: bool = False
    """Read the store's bucket without credentials, as a public one; `serve`, `catalog` and `status` only."""
    deadline_s: float = Field(default=3600.0, gt=0)
    """Longest time in seconds for one tile; a single worker in the command's own process has no limit."""
    attempts: int = Field(default=3, ge=1)
    """Attempts at a tile before it is given up."""
    ray_address: str | None = None
    """Address of the Ray cluster; empty uses `RAY_ADDRESS`, the job's own cluster, or starts one here."""
    cpus_per_worker: float = Field(default=1.0, gt=0)
    """CPUs that Ray reserves for each worker."""
    gpus_per_worker: float = Field(default=0.0, ge=0)
    """GPUs that Ray reserves for each worker; 0.25 lets four share one."""
    memory_mb_per_worker: int = Field(default=0, ge=0)
    """Megabytes that Ray reserves for each worker; 0 reserves none."""
    autoscaling: bool = False
    """The cluster grows on demand, so a resource that is missing now may come."""
    price_per_worker_hour: float = Field(default=0.0, ge=0)
    """Price of one worker for one hour, for the cost in the report."""
    memory_limit_mb: int = Field(default=1500, gt=0)
    """Tiles and cells with a larger projected peak memory are rejected."""


def first_fault(error: ValidationError) -> str:
    """Return the first validation error on one line: location and reason."""
    fault = error.errors(include_url=False)[0]
    return f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}".removeprefix(": ").removeprefix("Value error, ")
