"""The two-route check: from frame to frame through the geoids, and through the European levelling datum."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from orograph.pipeline.errors import DatumDisagreement, VerticalError
from orograph.pipeline.vertical import VerticalCatalogue
from orograph.pipeline.vertical.entries import ELLIPSOID

WARN_M: Final = 0.05
FAIL_M: Final = 0.15


@dataclass(frozen=True, slots=True)
class RouteCheck:
    """Difference between two independent routes between the frames of a border.

    Attributes:
        verdict: `agree`, `warn` above 5 cm, `fail` above 15 cm, `impossible` if a route is missing.
        difference_m: Median of the geoid route minus the levelling route; positive if the geoids give A higher values
            in B's frame. None if the check is impossible.
        spread_m: Largest absolute deviation from that median; None if the check is impossible.
        datum_uncertainty_m: Uncertainty of the frames themselves: largest absolute difference.
        reason: Reason why it is impossible.
    """

    verdict: Literal["agree", "warn", "fail", "impossible"]
    difference_m: float | None = None
    spread_m: float | None = None
    datum_uncertainty_m: float | None = None
    reason: str = ""

    def insist(self, border: str) -> None:
        """Raise if the routes disagree beyond the limit.

        Raises:
            DatumDisagreement: verdict `fail`.
        """
        if self.verdict == "fail":
            raise DatumDisagreement(
                f"{border}: geoid and levelling routes differ by {(self.difference_m or 0.0) * 100:+.1f} cm,"
                f" {(self.datum_uncertainty_m or 0) * 100:.1f} cm at most",
                remedy="check the sources' vertical frames, or continue with --allow-disagreement",
            )


def check_routes(
    frames: tuple[str, str],
    lon_deg: npt.NDArray[np.float64],
    lat_deg: npt.NDArray[np.float64],
    grids_dir: Path,
    *,
    hub: str = "EPSG:5621",
) -> RouteCheck:
    """Compare A -> ellipsoid -> B with A -> EVRF -> B at points along a border.

    Args:
        frames: Vertical frames of A and B.
        lon_deg: Longitudes of the places, degrees of ETRS89.
        lat_deg: Latitudes, degrees of ETRS89, the same shape.
        grids_dir: Folder of the catalogue's grids.
        hub: Frame of the European levelling network.
    """
    if frames[0] == frames[1]:
        return RouteCheck("agree", 0.0, 0.0, 0.0)
    catalogue = VerticalCatalogue.load()
    try:
        by_geoid = catalogue.operation(*frames, grids_dir=grids_dir, via=ELLIPSOID)
        by_levelling = catalogue.operation(*frames, grids_dir=grids_dir, via=hub)
    except VerticalError as error:
        return RouteCheck("impossible", reason=str(error))
    if by_geoid.labels == by_levelling.labels:
        return RouteCheck("impossible", reason="both routes are the same operation")
    differences = by_geoid.shift(lon_deg, lat_deg) - by_levelling.shift(lon_deg, lat_deg)
    differences = differences[np.isfinite(differences)]
    if not differences.size:
        return RouteCheck("impossible", reason="no point of the border is inside both areas of use")
    median = float(np.median(differences))
    largest = float(np.abs(differences).max())
    verdict: Literal["agree", "warn", "fail"] = (
        "fail" if abs(median) > FAIL_M else "warn" if abs(median) > WARN_M else "agree"
    )
    return RouteCheck(verdict, median, float(np.abs(differences - median).max()), largest)
