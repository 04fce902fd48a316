"""Print how often stated errors cover the errors of interpolated lidar heights: `python -m tests.support.error_table`.

With a path as argument it also draws the reliability diagram. Nothing of the stated error was fitted on these terrains. The word
`development` prints the terrains that the shrinkage and the increase by slope were chosen on.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import rasterio

from orograph.pipeline.sources.catalogue import Thinning
from orograph.pipeline.superres import resolver
from orograph.pipeline.superres.interpolation_error import StatedError

SITES = ("tirol_hit_5m", "tirol_wog_5m", "tirol_fluchthorn_10m", "norway_lavangsdalen_5m")
DEVELOPMENT = (
    "norway_10m",
    "tirol_kot_5m",
    "tirol_gar_5m",
    "swissalti3d_10m",
    "lombardia_lecco_it_5m",
    "slovenia_1m",
    "ryggfonn_no_5m",
    "norway_volda_sn1_5m",
)
SLOPES_DEG = ((0, 5), (5, 15), (15, 30), (30, 45), (45, 90))
EDGE_PX = 12


def terrain(site):
    """Heights of a site at 10 m, NaN is void."""
    with rasterio.open(f"../shared/data/dtm/{site}.tif") as dataset:
        heights, size = dataset.read(1, masked=True).astype(np.float64).filled(np.nan), round(10 / dataset.res[0])
    rows, columns = (side // (3 * size) * 3 * size for side in heights.shape)
    return heights[:rows, :columns].reshape(rows // size, size, columns // size, size).mean(axis=(1, 3))


def ratios(site, mode, name="keys6"):
    """Error over stated error and slope of each judged pixel, for heights brought from 30 m to 10 m."""
    fine = terrain(site)
    rows, columns = fine.shape
    means = fine.reshape(rows // 3, 3, columns // 3, 3).mean(axis=(1, 3))
    coarse = means if mode is Thinning.AVERAGED else fine[1::3, 1::3]
    made, sigma = StatedError(resolver(name))(coarse.astype(np.float32), factor=3, thinning=mode)
    ratio = (made - fine) / np.hypot(sigma, 0.03)
    slope = np.degrees(np.arctan(np.hypot(*np.gradient(fine, 10.0))))
    inner = (slice(EDGE_PX, -EDGE_PX),) * 2
    known = np.isfinite(ratio[inner]) & np.isfinite(slope[inner])
    return np.abs(ratio[inner][known]), slope[inner][known]


def main(paths):
    sites = DEVELOPMENT if "development" in paths else SITES
    judged = {mode: [ratios(site, mode) for site in sites] for mode in Thinning}
    for mode, sites in judged.items():
        ratio, slope = (np.concatenate(part) for part in zip(*sites, strict=True))
        for low, high in SLOPES_DEG:
            here = ratio[(slope >= low) & (slope < high)]
            print(f"| {mode.value} | {low} to {high} | {np.mean(here < 1):.0%} | {np.mean(here < 1.96):.0%} |")
    for path in set(paths) - {"development"}:
        draw(judged, Path(path))


def draw(judged, path):
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt
    from scipy.stats import norm

    nominal = np.linspace(0.05, 0.99, 40)
    width = norm.ppf((1 + nominal) / 2)
    figure, axes = plt.subplots(1, 2, figsize=(9, 4.4), sharey=True, constrained_layout=True)
    for axis, (mode, sites) in zip(axes, judged.items(), strict=True):
        ratio, slope = (np.concatenate(part) for part in zip(*sites, strict=True))
        for low, high in SLOPES_DEG:
            here = np.sort(ratio[(slope >= low) & (slope < high)])
            axis.plot(nominal, np.searchsorted(here, width) / here.size, label=f"{low} to {high} degrees")
        axis.plot([0, 1], [0, 1], color="0.5", lw=0.8, ls="--")
        axis.set(title=f"{mode.value}, 30 m to 10 m, keys6", xlabel="nominal coverage")
    axes[0].set_ylabel("observed coverage")
    axes[0].legend(title="slope", frameon=False)
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main(sys.argv[1:])
