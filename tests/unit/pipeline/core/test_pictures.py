"""Pictures of heights are readable images with a scale bar of a round length."""

import numpy as np
import pytest
from PIL import Image

from orograph.pipeline.core.pictures import draw_comparison, draw_file_comparison, draw_relief, round_length
from tests.support.made import write_source


@pytest.mark.parametrize(
    ("longest", "length"), [(1.0, 1.0), (4.9, 2.0), (5.0, 5.0), (999.0, 500.0), (16_000.0, 10_000.0)]
)
def test_bars_have_round_lengths(longest, length):
    assert round_length(longest) == pytest.approx(length)


def test_relief_comparison_and_voids(tmp_path):
    heights = np.add.outer(np.linspace(0, 100, 40), np.sin(np.arange(60) / 5)).astype(np.float32)
    heights[:5, :5] = np.nan
    draw_relief(tmp_path / "r.png", heights, (10.0, 10.0), "relief")
    draw_comparison(tmp_path / "c.png", heights, heights + 1, (10.0, 10.0))
    widths = [Image.open(tmp_path / name).size[0] for name in ("r.png", "c.png")]
    assert widths[1] > widths[0] > 300
    draw_comparison(tmp_path / "void.png", heights * np.nan, heights * np.nan, (10.0, 10.0))


def test_files(tmp_path):
    bounds = (4_210_000.0, 3_010_000.0, 4_212_000.0, 3_012_000.0)
    coarse, fine = (write_source(tmp_path / f"{size}.tif", "EPSG:3035", bounds, size) for size in (100, 50))
    draw_file_comparison(tmp_path / "f.png", coarse, fine)
    assert (tmp_path / "f.png").stat().st_size > 10_000
