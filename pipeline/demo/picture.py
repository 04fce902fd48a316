"""The demo's picture: the sources, the result, and the source of each height."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.enums import Resampling

from orograph.pipeline.core.grid import Tile
from orograph.pipeline.demo.world import World

_VOID = "#d9d9d9"


def draw(
    world: World, tiles: Sequence[Tile], products: Mapping[tuple[str, str], Path], names: Mapping[int, str], out: Path
) -> None:
    """Draw shaded relief, sources, errors and uncertainty of neighbouring tiles side by side.

    Args:
        world: The truth.
        tiles: Tiles of one row, west to east.
        products: COG by (tile id, product name).
        names: Source title by number in the source index.
        out: PNG to write.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.colors import ListedColormap
    from matplotlib.patches import Patch

    row = {
        name: np.hstack([_read(products[tile.id, name], name) for tile in tiles])
        for name in ("elevation", "hillshade", "source_index", "uncertainty")
    }
    west, south = tiles[0].bounds_m[0], tiles[0].bounds_m[1]
    east, north = tiles[-1].bounds_m[2], tiles[-1].bounds_m[3]
    height, width = row["elevation"].shape
    xs = west + (np.arange(width) + 0.5) * (east - west) / width
    ys = north - (np.arange(height) + 0.5) * (north - south) / height
    error = row["elevation"] - world.truth(*np.meshgrid(xs, ys))
    extent = (west / 1000, east / 1000, south / 1000, north / 1000)
    figure, axes = plt.subplots(2, 2, figsize=(15, 8.6), constrained_layout=True)
    shade = np.ma.masked_equal(row["hillshade"], 0)
    axes[0, 0].imshow(row["elevation"], extent=extent, cmap="gist_earth", vmin=-60, vmax=600)
    axes[0, 0].imshow(shade, extent=extent, cmap="gray", alpha=0.55)
    axes[0, 0].set_title("Terrain, EVRF2007")
    colours = _source_colours(products[tiles[0].id, "source_index"], max(names))
    span = {"vmin": -0.5, "vmax": max(names) + 0.5}
    axes[0, 1].imshow(row["source_index"], extent=extent, cmap=ListedColormap(colours), interpolation="nearest", **span)
    axes[0, 1].legend(
        handles=[
            Patch(color=_VOID, label="void, filled"),
            *(Patch(color=colours[number], label=name) for number, name in names.items()),
        ],
        loc="lower right",
        fontsize=8,
    )
    axes[0, 1].set_title("Source of each height")
    drawn = axes[1, 0].imshow(error, extent=extent, cmap="RdBu_r", vmin=-5, vmax=5)
    axes[1, 0].set_title("Tile minus truth, m (canopy of the DSM remains where there is no DTM)")
    figure.colorbar(drawn, ax=axes[1, 0], shrink=0.8)
    # A few pixels at the rims of sources state much more; they must not flatten the rest of the picture.
    most = float(np.nanpercentile(row["uncertainty"], 99.5))
    drawn = axes[1, 1].imshow(row["uncertainty"], extent=extent, cmap="viridis", vmin=0, vmax=most)
    axes[1, 1].set_title("Stated standard deviation, m")
    figure.colorbar(drawn, ax=axes[1, 1], shrink=0.8, extend="max")
    for axis in axes.flat:
        axis.set_xlabel("easting, km (EPSG:3035)")
        for tile in tiles[1:]:
            axis.axvline(tile.bounds_m[0] / 1000, color="k", lw=0.5, ls=":")
    figure.savefig(out, dpi=110)
    plt.close(figure)


def _source_colours(path: Path, count: int) -> list[str | tuple[float, float, float]]:
    """Void, then the colours that a source index gives its sources."""
    with rasterio.open(path) as dataset:
        table = dataset.colormap(1)
    shares = ([part / 255 for part in table[number][:3]] for number in range(1, count + 1))
    return [_VOID, *((red, green, blue) for red, green, blue in shares)]


def _read(path: Path, name: str) -> npt.NDArray[np.float32]:
    how = Resampling.mode if name == "source_index" else Resampling.average
    with rasterio.open(path) as dataset:
        values = dataset.read(
            1,
            out_shape=(dataset.height // 8, dataset.width // 8),
            resampling=how,
            masked=name in ("elevation", "uncertainty"),
        )
    return np.ma.filled(values.astype(np.float32), np.nan)
