"""Stream one tile of real heights, resampled on the fly, through the writers; prints JSON with time, memory and disk.

`python -m tests.bench.stream_tile SIZE FOLDER HEIGHTS.tif [zstd|lerc-zstd]`, SIZE pixels a side of 50 km.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import threading
import time
from pathlib import Path

from orograph.infra.engines.environment import GDAL_ENV, THREAD_ENV

os.environ.update({**GDAL_ENV, **THREAD_ENV, **os.environ})

import numpy as np
import rasterio

from orograph.pipeline.core.grid import Tile, windows
from orograph.pipeline.formats import cog
from orograph.pipeline.formats.hillshade import hillshade

WINDOW_PX = 1024


class Ground:
    """Real heights mirrored without end and read bilinearly at half their pixel size."""

    def __init__(self, path: Path) -> None:
        with rasterio.open(path) as dataset:
            heights = dataset.read(1)[:1000, :1000]
        self.heights = np.block([[heights, heights[:, ::-1]], [heights[::-1], heights[::-1, ::-1]]])

    def read(self, row: int, col: int, height: int, width: int) -> np.ndarray:
        """float32 block that starts at any row and column, one pixel outside the tile included."""
        rows, row_weights = self._places(row, height)
        cols, col_weights = self._places(col, width)
        size = self.heights.shape[0]
        upper, lower = self.heights[rows % size], self.heights[(rows + 1) % size]
        band = upper + (lower - upper) * row_weights[:, None]
        west, east = band[:, cols % size], band[:, (cols + 1) % size]
        return west + (east - west) * col_weights[None, :]

    @staticmethod
    def _places(start: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        place = (np.arange(start, start + count) + 0.5) / 2 - 0.5
        whole = np.floor(place).astype(np.int64)
        return whole, (place - whole).astype(np.float32)


class DiskWatch(threading.Thread):
    """Largest sum of file sizes in a folder, looked at ten times a second."""

    def __init__(self, folder: Path) -> None:
        super().__init__(daemon=True)
        self.folder, self.peak, self.stop = folder, 0, threading.Event()

    def run(self) -> None:
        while not self.stop.wait(0.1):
            self.peak = max(self.peak, used(self.folder))


def used(folder: Path) -> int:
    """Bytes on disk of all files in a folder."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_blocks * 512
        except OSError:
            continue
    return total


def peak_mb() -> float:
    """Largest resident memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def stream(size: int, folder: Path, ground: Ground, compression: str) -> dict[str, float]:
    """Write elevation and hillshade of one tile; sizes in bytes."""
    pixel = 50_000 / size
    geobox = Tile.parse("E4300N2650").geobox(pixel)
    how = cog.Encoding(compression)  # type: ignore[arg-type]
    with (
        cog.scratch(folder / "e.scratch", geobox, encoding=how) as elevation,
        cog.scratch(folder / "h.scratch", geobox, dtype="uint8", nodata=0) as shade,
    ):
        for window in windows((size, size), WINDOW_PX):
            heights = ground.read(window.row - 1, window.col - 1, window.height + 2, window.width + 2)
            elevation.write(window, np.ascontiguousarray(heights[1:-1, 1:-1]))
            shade.write(window, hillshade(heights, pixel))
    written = time.process_time()
    first = cog.finish(folder / "e.scratch", folder / "elevation.tif", band_names=("elevation",))
    second = cog.finish(folder / "h.scratch", folder / "hillshade.tif")
    return {"elevation_bytes": first.size_bytes, "hillshade_bytes": second.size_bytes, "written_cpu_s": written}


def main() -> None:
    """Run and print."""
    size, folder, source = int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])
    compression = sys.argv[4] if len(sys.argv) > 4 else "zstd"
    from rio_cogeo import cogeo

    del cogeo
    ground = Ground(source)
    # Compile and load everything once, so that only streaming is measured.
    (folder / "warm").mkdir(parents=True)
    stream(500, folder / "warm", ground, compression)
    imports_mb = peak_mb()
    watch = DiskWatch(folder)
    watch.start()
    started, cpu = time.monotonic(), time.process_time()
    sizes = stream(size, folder, ground, compression)
    seconds, cpu_s = time.monotonic() - started, time.process_time() - cpu
    watch.stop.set()
    watch.join()
    final = sizes["elevation_bytes"] + sizes["hillshade_bytes"]
    figures = {
        "size": size,
        "imports_mb": round(imports_mb, 1),
        "peak_above_imports_mb": round(peak_mb() - imports_mb, 1),
        "peak_mb": round(peak_mb(), 1),
        "seconds": round(seconds, 1),
        "cpu_seconds": round(cpu_s, 2),
        "mpx_per_cpu_s": round(size * size / 1e6 / cpu_s, 1),
        "final_mb": round(final / 1e6, 1),
        "peak_disk_over_final": round(watch.peak / final, 2),
        "projected_mb": round(cog.peak_bytes((size, size), window_px=WINDOW_PX) / 1e6, 1),
        "left_over": sorted(path.name for path in folder.iterdir() if path.is_file()),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
