"""Make all products of a cell from tiles of any pixel size; prints JSON with memory above imports and CPU seconds.

`python -m tests.bench.export_cell_memory FOLDER`, a folder of `<tile>_elevation.tif` around N47E010.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path

from orograph.infra.engines.environment import GDAL_ENV, THREAD_ENV

os.environ.update({**GDAL_ENV, **THREAD_ENV, **os.environ})

from orograph.pipeline.core.grid import Cell, Tile
from orograph.pipeline.exports.cell import _Maker, peak_bytes
from orograph.pipeline.exports.cell_job import CellJob, CellSettings
from orograph.pipeline.exports.cell_lattice import point_lattice
from orograph.pipeline.exports.mosaic import Mosaic
from tests.bench.stream_tile import peak_mb


def main() -> None:
    """Run and print."""
    import pyogrio
    import shapely
    from rio_cogeo import cogeo

    del pyogrio, shapely, cogeo
    cell, settings = Cell(47, 10), CellSettings(contour_arc_seconds=1)
    files = {Tile.parse(path.name[:10]): path for path in Path(sys.argv[1]).glob("*_elevation.tif")}
    with tempfile.TemporaryDirectory() as name, Mosaic(files) as mosaic:
        mosaic.sample(point_lattice(cell, 11))
        imports_mb, cpu = peak_mb(), time.process_time()
        maker = _Maker(CellJob(cell, (), settings), mosaic, None, "EPSG:5621", Path(name))
        sizes = {}
        for product in settings.products:
            for made in maker.make(product):
                sizes[made.info.name] = made.path.stat().st_size
        figures = {
            "pixel_size_m": mosaic.pixel_size_m,
            "imports_mb": round(imports_mb, 1),
            "peak_above_imports_mb": round(peak_mb() - imports_mb, 1),
            "projected_mb": round(peak_bytes(settings) / 1e6, 1),
            "cpu_seconds": round(time.process_time() - cpu, 2),
            "bytes": sizes,
        }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
