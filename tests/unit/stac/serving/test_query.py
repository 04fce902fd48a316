import json
import sys

import pytest

from orograph.pipeline.core.extras import missing_package
from orograph.stac.serving.query import LIMIT_MAX, BadQuery, members_of_url, parse_bbox, parse_datetime, parse_query

SECOND = 1_000_000


@pytest.mark.parametrize(
    ("text", "start_s", "end_s"),
    [
        ("1970-01-01T00:00:10Z", 10, 10),
        ("1970-01-01t01:00:10.5+01:00", 10.5, 10.5),
        ("1970-01-01T00:00:10.123456789Z", 10.123456, 10.123456),
        ("1970-01-01T00:00:60Z", 59, 59),
        ("1970-01-01T00:00:10Z/1970-01-01T00:00:20Z", 10, 20),
    ],
)
def test_times(text, start_s, end_s):
    assert parse_datetime(text) == (round(start_s * SECOND), round(end_s * SECOND))


def test_half_open_times():
    assert parse_datetime("../1970-01-01T00:00:10Z")[1] == 10 * SECOND
    assert parse_datetime("1970-01-01T00:00:10Z/")[0] == 10 * SECOND


@pytest.mark.parametrize(
    "text",
    ["/", "../..", "1985-04-12", "1985-04-12T23:20:50", "1985-13-12T23:20:50Z", "1985-04-12T23:20:50,5Z",
     "1985-04-12T23:20:61Z", "1986-01-01T00:00:00Z/1985-01-01T00:00:00Z", "/1985-04-12T23:20:50Z/", 7, ""],
)  # fmt: skip
def test_bad_times(text):
    with pytest.raises(BadQuery):
        parse_datetime(text)


def test_bbox_over_the_antimeridian_is_two_boxes():
    assert parse_bbox([170, -10, -170, 10]).area == pytest.approx(400)
    assert parse_bbox([5, 40, -1000, 6, 41, 9000]).bounds == (5, 40, 6, 41)


@pytest.mark.parametrize(
    "members",
    [
        {"bbox": [0, 0, 1]},
        {"bbox": [0, 1, 1, 0]},
        {"bbox": [0, 0, 500, 1]},
        {"bbox": ["0", 0, 1, 1]},
        {"bbox": [0, 0, float("nan"), 1]},
        {"bbox": [0, 0, 1, 1], "intersects": {"type": "Point", "coordinates": [0, 0]}},
        {"intersects": {"type": "Polygon", "coordinates": []}},
        {"intersects": {"type": "Feature"}},
        {"intersects": 3},
        {"ids": "E4300N2650"},
        {"collections": [1]},
        {"limit": 0},
        {"limit": True},
        {"limit": "10"},
        {"token": "x"},
        {"token": 5},
        {"filter": "gsd <"},
        {"filter": {"op": "nonsense"}},
        {"filter": "gsd = 1", "filter-lang": "cql2-json"},
        {"filter": "gsd = 1", "filter-crs": "EPSG:3035"},
        {"filter": "gsd = 1", "filter-lang": []},
        {"filter": {"op": "between", "args": [{"property": "gsd"}, 1]}},
        {"filter": {"op": "not", "args": []}},
        {"filter": "(" * 9000 + "gsd = 1" + ")" * 9000},
        {"filter": "NOT " * 4000 + "gsd = 1"},
        {"filter": " AND ".join(["gsd = 1"] * 5000)},
    ],
)
def test_bad_queries(members):
    with pytest.raises(BadQuery):
        parse_query(members)


def test_a_large_limit_is_cut():
    assert parse_query({"limit": 10**6}).limit == LIMIT_MAX


def test_url_parameters_mean_the_same_as_a_body():
    area = {"type": "Point", "coordinates": [10, 47]}
    members = members_of_url(
        {"ids": "a,b", "intersects": json.dumps(area), "limit": "5", "filter": "gsd < 20", "token": ""}
    )
    assert members == {
        "ids": ["a", "b"],
        "intersects": area,
        "limit": 5,
        "filter": "gsd < 20",
        "filter-lang": "cql2-text",
    }


def test_a_deeply_nested_body_is_a_bad_query():
    nested: list[object] = []
    for _ in range(20_000):
        nested = [nested]
    for name in ("filter", "intersects"):
        with pytest.raises(BadQuery):
            parse_query({name: nested})


def test_between_of_drafts_and_of_the_standard():
    for arguments in ([{"property": "gsd"}, [1, 20]], [{"property": "gsd"}, 1, 20]):
        query = parse_query({"filter": {"op": "not", "args": [{"op": "between", "args": arguments}]}})
        assert "gsd" in query.matches.words
        assert query.matches.expression.matches({"gsd": 30})
        assert not query.matches.expression.matches({"gsd": 10})


def test_only_filters_need_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "cql2", None)
    assert parse_query({"bbox": [5, 50, 6, 51]}).matches is None
    with pytest.raises(ModuleNotFoundError) as raised:
        parse_query({"filter": "gsd < 20"})
    assert "orograph[serve]" in missing_package(raised.value).remedy
