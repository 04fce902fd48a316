"""Whatever a client sends is answered; whatever an item holds comes back from the index."""

from hypothesis import given, settings
from hypothesis import strategies as st

from orograph.pipeline.errors import OrographError
from orograph.stac.documents.index import decode_items, encode_items
from orograph.stac.documents.items import item_from_manifest
from orograph.stac.serving.query import BadQuery, members_of_url, parse_query
from tests.support.catalogue_world import make_manifest

TEXT = st.text(alphabet="aZ09-:./,<=' {}[]\u00e9", max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=8,
)
NAMES = ["bbox", "datetime", "intersects", "ids", "collections", "limit", "token", "filter", "filter-lang"]


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(NAMES), JSON, max_size=4))
def test_any_body_is_a_query_or_a_bad_one(members):
    try:
        parse_query(members)
    except OrographError as error:
        assert isinstance(error, BadQuery)  # noqa: PT017 - anything else must fail the test


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(NAMES), TEXT, max_size=4))
def test_any_url_is_a_query_or_a_bad_one(parameters):
    try:
        parse_query(members_of_url(parameters))
    except OrographError as error:
        assert isinstance(error, BadQuery)  # noqa: PT017 - anything else must fail the test


BASE = item_from_manifest(make_manifest(None), asset_href=str, created="2026-01-01T00:00:00Z")
SCALAR = st.integers(0, 5) | st.floats(0, 1e6) | TEXT
FIGURES = st.dictionaries(
    st.sampled_from(["dem:border_step_m", "dem:new_figure", "gsd", "dem:quality", "zz:other"]),
    SCALAR | st.dictionaries(TEXT, SCALAR, min_size=1, max_size=2),
    max_size=3,
)


@settings(deadline=None, max_examples=60)
@given(st.lists(FIGURES, min_size=1, max_size=3))
def test_whatever_figures_items_have_come_back(figures):
    changed = [
        {**BASE, "id": f"E{4000 + 50 * n}N2650", "properties": {**BASE["properties"], **more}}
        for n, more in enumerate(figures)
    ]
    assert decode_items(encode_items(changed)) == changed
