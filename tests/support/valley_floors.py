"""Print the slopes of valley floors after upsampling simulated sensors: `python -m tests.support.valley_floors`.

The floor is terrain with a mean slope below 3 degrees over 70 m. The last column is the gain over GDAL cubic in RMSE.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import uniform_filter

from orograph.pipeline.sources.catalogue import Thinning
from orograph.pipeline.sources.sensor import bundled_sensor
from orograph.pipeline.superres import resolver
from tests.support.davos import slope_deg
from tests.support.error_sites import GLO_30, SRTM, lidar, seen

SITES = ("norway_10m", "tirol_kot_5m", "tirol_gar_5m", "swissalti3d_10m", "lombardia_lecco_it_5m")


def main():
    for name, sensor in (("srtm", SRTM), ("glo-30", GLO_30)):
        for site in SITES:
            terrain, judged = lidar(site)
            heights = seen(terrain, sensor, bursts=name == "srtm").astype(np.float32)
            slope = slope_deg(terrain)
            floor, rmse, cells = judged & (uniform_filter(slope, 7) < 3.0), [], [f"{site}, simulated {name}"]
            cells.append(f"{np.median(slope[floor]):.2f}" if floor.sum() > 500 else "-")
            for up in (resolver("gdal-cubic"), resolver("sensor", sensor=bundled_sensor(name))):
                made, _ = up(heights, factor=3, thinning=Thinning.AVERAGED)
                rmse.append(np.sqrt(np.mean(np.square(made - terrain)[judged])))
                cells.append(f"{np.median(slope_deg(made)[floor]):.2f}" if floor.sum() > 500 else "-")
            print("| " + " | ".join([*cells, f"{100 * (1 - rmse[1] / rmse[0]):+.1f}"]) + " |", flush=True)


if __name__ == "__main__":
    main()
