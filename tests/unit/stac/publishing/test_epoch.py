"""The nominal date is set once and stays until an operator begins another."""

import pytest

from orograph.pipeline.errors import CatalogueError, UsageError
from orograph.stac.publishing.epoch import EPOCH_KEY, begin_epoch, epoch_of
from tests.support.catalogue_world import MemoryStore


def test_the_first_publication_begins_the_epoch():
    store = MemoryStore()
    assert epoch_of(store, "2026-05-04T10:11:12Z") == "2026-05-04T00:00:00Z"
    assert epoch_of(store, "2027-01-01T00:00:00Z") == "2026-05-04T00:00:00Z"
    begin_epoch(store, "2027-02-03")
    assert epoch_of(store, "2030-01-01T00:00:00Z") == "2027-02-03T00:00:00Z"


def test_what_is_not_a_date_is_rejected_with_a_remedy():
    store = MemoryStore()
    with pytest.raises(UsageError, match="not a date"):
        begin_epoch(store, "2027")
    store.put(EPOCH_KEY, b'{"datetime": "soon"}')
    with pytest.raises(CatalogueError, match="damaged") as caught:
        epoch_of(store, "2026-01-01")
    assert "catalog epoch" in caught.value.remedy
