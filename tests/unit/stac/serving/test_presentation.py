"""The sort and fields extensions of searches."""

import json

import pytest

from orograph.stac.serving.bad_query import BadQuery
from orograph.stac.serving.presentation import Fields, SortKey, fields_member, parse_fields, parse_sort, sort_member

ITEM = json.dumps(
    {"type": "Feature", "id": "a", "collection": "c", "properties": {"gsd": 10, "a.b": 1, "x": {"y": 2, "z": 3}}}
)


def members(**fields):
    return json.loads(Fields(**{name: frozenset(paths) for name, paths in fields.items()}).of(ITEM.encode()))


def test_included_and_excluded_members():
    assert members(include=["properties.gsd"]) == {
        "type": "Feature",
        "id": "a",
        "collection": "c",
        "properties": {"gsd": 10},
    }
    assert members(exclude=["properties.x.y", "properties.a.b"])["properties"] == {"gsd": 10, "x": {"z": 3}}
    assert members(include=["properties"], exclude=["properties.x"])["properties"] == {"gsd": 10, "a.b": 1}
    assert members(exclude=["id"])["id"] == "a"


def test_urls_and_bodies_mean_the_same():
    assert parse_sort([sort_member("-properties.gsd"), sort_member(" id")]) == (
        SortKey("gsd", descending=True),
        SortKey("id"),
    )
    assert parse_fields(fields_member(["id", "-links"])) == Fields(frozenset({"id"}), frozenset({"links"}))
    assert parse_sort(None) == ()
    assert parse_fields(None) is None


@pytest.mark.parametrize(
    "sort", [{}, [1], [{"field": "a", "direction": "up"}], [{"field": "a b"}], [{"field": "a"}] * 11]
)
def test_malformed_sorts_are_rejected(sort):
    with pytest.raises(BadQuery, match="sortby"):
        parse_sort(sort)


@pytest.mark.parametrize(
    "fields", [[], {"only": []}, {"include": "id"}, {"include": ["a b"]}, {"include": ["a"] * 101}]
)
def test_malformed_fields_are_rejected(fields):
    with pytest.raises(BadQuery, match="fields"):
        parse_fields(fields)
