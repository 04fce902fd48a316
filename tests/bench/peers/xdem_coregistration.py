"""Runs in xDEM's own environment: one method on one pair; prints one line of JSON.

usage: xdem_coregistration.py METHOD REF TBA STABLE FOLDER
METHOD is blockwise, nuth-kaab, nuth-kaab+deramp2 or lzd.
"""

import json
import resource
import sys
import time
import warnings
from pathlib import Path

warnings.filterwarnings("ignore")

import geoutils as gu  # noqa: E402 - after the warnings are silenced
import numpy as np  # noqa: E402
import xdem  # noqa: E402


def cpu_s():
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def spread(dh, stable):
    values = np.ma.filled(dh.data.astype("f4"), np.nan)[stable]
    values = values[np.isfinite(values)]
    return 1.4826 * float(np.median(abs(values - np.median(values)))), float(np.median(values))


def main(method, ref_path, tba_path, stable_path, folder):
    ref, tba = xdem.DEM(ref_path), xdem.DEM(tba_path)
    ref.load(), tba.load()
    stable = gu.Raster(stable_path).data.filled(0) > 0
    mask = gu.Raster.from_array(stable, ref.transform, ref.crs)
    planes = []
    wall, cpu = time.perf_counter(), cpu_s()
    if method == "blockwise":
        from geoutils.raster.distributed_computing import MultiprocConfig

        original = xdem.coreg.BlockwiseCoreg._ransac

        def remembering(*args, **kwargs):
            planes.append([float(v) for v in original(*args, **kwargs)])
            return planes[-1]

        xdem.coreg.BlockwiseCoreg._ransac = staticmethod(remembering)
        outfile = str(Path(folder) / "aligned_dem.tif")
        blockwise = xdem.coreg.BlockwiseCoreg(
            xdem.coreg.NuthKaab(), mp_config=MultiprocConfig(chunk_size=500, outfile=outfile, cluster=None)
        )
        blockwise.fit(ref, tba, mask)
        blockwise.apply()
        aligned = xdem.DEM(outfile)
    else:
        steps = {
            "nuth-kaab": xdem.coreg.NuthKaab,
            "nuth-kaab+deramp2": lambda: xdem.coreg.NuthKaab() + xdem.coreg.Deramp(poly_order=2),
            "lzd": xdem.coreg.LZD,
        }[method]()
        steps.fit(ref, tba, mask)
        aligned = steps.apply(tba)
    seconds = {"wall_s": time.perf_counter() - wall, "cpu_s": cpu_s() - cpu}
    nmad, median = spread(ref - aligned, stable)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        json.dumps({"method": method, "nmad_m": nmad, "median_m": median, "peak_mb": peak, "planes": planes} | seconds)
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
