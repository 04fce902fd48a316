"""The whole factor by which a coarse source is upsampled."""

import pytest

from orograph.pipeline.superres.zoom import LARGEST_ZOOM, zoom_of


@pytest.mark.parametrize(
    ("resolution_m", "pixel_m", "zoom"),
    [
        (10.0, 10.0, 1),
        (14.0, 10.0, 1),
        (15.0, 10.0, 2),
        (22.0, 10.0, 2),
        (23.1, 10.0, 3),
        (30.0, 10.0, 3),
        (500.0, 10.0, LARGEST_ZOOM),
    ],
)
def test_the_factor_follows_the_ratio_of_pixels(resolution_m, pixel_m, zoom):
    assert zoom_of(resolution_m, pixel_m) == zoom
