"""Points and areas: tag, declaration and grid phase decide the transform."""

import pytest
from affine import Affine

from orograph.pipeline.core.pixel_is import PixelIs, placed_pixels
from orograph.pipeline.errors import SourceGridError

WHOLE = Affine(10, 0, 4_300_000, 0, -10, 2_700_000)
HALF = WHOLE @ Affine.translation(-0.5, -0.5)
NEITHER = WHOLE @ Affine.translation(0.3, 0.3)


@pytest.mark.parametrize(
    ("points", "expected"),
    [(True, (PixelIs.POINT, "file")), (False, (PixelIs.AREA, "file")), (None, (PixelIs.AREA, "default"))],
)
def test_without_a_declaration_the_file_decides(points, expected):
    kind, affine, whose = placed_pixels(points, None, NEITHER, "x.tif")
    assert (kind, whose) == expected
    assert affine == NEITHER


def test_corners_at_multiples_move_by_half_a_pixel():
    kind, affine, whose = placed_pixels(False, PixelIs.POINT, WHOLE, "x.tif")
    assert (kind, whose) == (PixelIs.POINT, "phase of the grid")
    assert affine == HALF
    assert affine @ (0.5, 0.5) == (4_300_000, 2_700_000)


def test_corners_between_multiples_stay():
    assert placed_pixels(None, PixelIs.POINT, HALF, "x.tif") == (PixelIs.POINT, HALF, "phase of the grid")


def test_agreeing_tag_and_declaration_keep_the_transform():
    assert placed_pixels(True, PixelIs.POINT, WHOLE, "x") == (PixelIs.POINT, WHOLE, "file")
    assert placed_pixels(None, PixelIs.AREA, WHOLE, "x") == (PixelIs.AREA, WHOLE, None)


def test_contradictions_are_typed_errors_with_a_remedy():
    with pytest.raises(SourceGridError, match=r"x\.tif declares points") as caught:
        placed_pixels(True, PixelIs.AREA, WHOLE, "x.tif")
    assert "pixel: area" in caught.value.remedy
    with pytest.raises(SourceGridError, match=r"x\.tif declares areas"):
        placed_pixels(False, PixelIs.POINT, NEITHER, "x.tif")
