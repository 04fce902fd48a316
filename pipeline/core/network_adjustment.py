"""A source's share of a network adjustment: a small correction on top of its pinned operation, off by default."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from orograph.pipeline.core.frames import FrameId
from orograph.pipeline.errors import ConfigError

if TYPE_CHECKING:  # settings need this module, and `orograph --help` needs no arrays
    import numpy as np
    import numpy.typing as npt

NETWORK_ADJUSTMENT: Final = "network-adjustment"
"""The step an operation's record names where the source has its share of an adjustment."""
Model = Literal["constant", "plane"]


class Adjustment(BaseModel):
    """A source's correction, added to its heights: `constant_m + east_per_km * dE + north_per_km * dN`.

    dE and dN are kilometres of EPSG:3035 from the centre. `sigma_m` is the constant's standard deviation.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    constant_m: float
    east_m_per_km: float = 0.0
    north_m_per_km: float = 0.0
    centre_east_m: float = 0.0
    centre_north_m: float = 0.0
    sigma_m: float = Field(ge=0)

    def at(
        self, east_m: npt.NDArray[np.float64] | float, north_m: npt.NDArray[np.float64] | float
    ) -> npt.NDArray[np.float64]:
        """The correction at EPSG:3035 coordinates, metres."""
        import numpy as np

        east_km = (np.asarray(east_m, dtype=np.float64) - self.centre_east_m) / 1000
        north_km = (np.asarray(north_m, dtype=np.float64) - self.centre_north_m) / 1000
        return self.constant_m + self.east_m_per_km * east_km + self.north_m_per_km * north_km


class AdjustmentFile(BaseModel):
    """Corrections as `orograph borders --adjust` writes them, by source id, for one target frame."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    target_frame: FrameId
    model: Model
    sources: dict[str, Adjustment]

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file of corrections.

        Raises:
            ConfigError: the file is missing or is not a file of corrections.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            raise ConfigError(f"adjustment file {path} cannot be used: {error}") from error
