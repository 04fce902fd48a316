"""The map of sources' areas, in the format its name asks for."""

import json

import pytest
from shapely.geometry import Point, shape

from orograph.infra.reporting.coverage_map import LAND, _colour, _line, _page, draw_coverage
from orograph.pipeline.errors import ConfigError
from tests.support.worlds import SOURCE

HERE = SOURCE.model_copy(update={"country": "AT", "area_deg": (9.5, 46.0, 17.0, 49.0), "attribution": "© <Austria>"})


def test_a_page_needs_nothing_else_and_escapes_names():
    text = _page("<svg></svg>", [HERE])
    assert text.count("<tr><td>made") == 1
    assert "© &lt;Austria&gt;" in text
    assert "<svg" in text
    assert "<script" not in text


@pytest.mark.parametrize(("resolution_m", "colour"), [(0.5, "#08519c"), (5.0, "#3182bd"), (30.0, "#deebf7")])
def test_finer_sources_are_darker(resolution_m, colour):
    assert _colour(HERE.model_copy(update={"resolution_m": resolution_m})) == colour


def test_licences_have_their_lines():
    assert [_line(HERE.model_copy(update={"licence": name})) for name in ("CC0-1.0", "CC-BY-4.0", "other")] == [
        "-",
        "--",
        ":",
    ]


def test_other_endings_are_rejected(tmp_path):
    with pytest.raises(ConfigError, match=r"map\.jpg"):
        draw_coverage([HERE], tmp_path / "map.jpg")


@pytest.mark.parametrize(
    ("place", "is_land"),
    [
        ((35.0, 67.5), True),  # Kola
        ((40.0, 64.0), True),  # Arkhangelsk
        ((38.5, 65.5), False),  # the White Sea
        ((20.0, 71.2), False),  # north of Norway
        ((0.0, 71.2), False),
        ((50.0, 41.0), False),  # the Caspian
        ((-19.0, 65.0), True),  # Iceland
        ((11.4, 47.3), True),
    ],
)
def test_land_and_sea_are_where_they_lie(place, is_land):
    land = json.loads(LAND.read_text(encoding="utf-8"))["features"][0]["geometry"]
    assert shape(land).buffer(0).contains(Point(place)) is is_land
