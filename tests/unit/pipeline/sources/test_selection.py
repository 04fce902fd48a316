"""Sources are chosen by country, resolution, licence and place."""

import pytest

from orograph.pipeline.sources.selection import SourceFilter, access_of, document_of, state_of
from tests.support.worlds import SOURCE

HERE = SOURCE.model_copy(
    update={"id": "by", "country": "DE-BY", "area_deg": (9.0, 47.0, 14.0, 51.0), "resolution_m": 1.0}
)
THERE = SOURCE.model_copy(
    update={"id": "at", "country": "AT", "area_deg": (9.5, 46.0, 17.0, 49.0), "licence": "CC-BY-4.0"}
)


@pytest.mark.parametrize(
    ("conditions", "chosen"),
    [
        ({}, ["at", "by"]),
        ({"countries": ("DE",)}, ["by"]),
        ({"countries": ("D",)}, []),
        ({"coarsest_m": 5.0}, ["by"]),
        ({"licence": "cc-by"}, ["at"]),
        ({"area_deg": (15.0, 46.0, 16.0, 47.0)}, ["at"]),
        ({"area_deg": (0.0, 0.0, 1.0, 1.0)}, []),
    ],
)
def test_all_conditions_hold_together(conditions, chosen):
    assert [source.id for source in SourceFilter(**conditions).chosen([HERE, THERE])] == chosen


def test_a_source_says_how_it_is_read_and_whether_it_can_be():
    unverified = HERE.model_copy(update={"unverified": ("frame",)})
    assert (access_of(HERE), state_of(HERE), state_of(unverified)) == ("files", "ready", "unverified")
    assert SourceFilter(usable=True).chosen([unverified]) == []
    assert document_of(HERE)["access_kind"] == "files"
    assert "accept_unverified" not in document_of(HERE)
