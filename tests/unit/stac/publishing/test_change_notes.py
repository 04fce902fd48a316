"""Notes stay until their item was replaced or their worker must be dead."""

import hashlib
from datetime import UTC, datetime, timedelta

from orograph.stac.publishing.change_notes import WORKER_TIMEOUT, leave_note, read_notes
from tests.support.catalogue_world import MemoryStore

TILE = "E4300N2650"


def test_a_note_goes_when_the_item_has_other_bytes_or_the_worker_is_dead():
    store = MemoryStore()
    leave_note(store, "dem-eu", TILE, b"old", b"new")
    (note,) = read_notes(store)
    assert (note.collection, note.block, note.item_id) == ("dem-eu", "E4000N2500", TILE)
    old, new = (hashlib.sha256(data).hexdigest() for data in (b"old", b"new"))
    now = note.written + timedelta(minutes=1)
    assert not note.may_go(old, now)
    assert note.may_go(new, now)
    assert note.may_go(old, note.written + WORKER_TIMEOUT + timedelta(seconds=1))


def test_the_first_publication_replaces_nothing():
    store = MemoryStore()
    leave_note(store, "dem-eu", TILE, None, b"new")
    (note,) = read_notes(store)
    assert note.replaces is None
    assert not note.may_go(None, note.written)


def test_damaged_notes_still_name_their_item_and_strangers_are_passed_over():
    store = MemoryStore()
    store.put(f"stac/pending/dem-eu/E4000N2500/{TILE}.{'0' * 32}", b"{")
    store.put("stac/pending/readme.txt", b"")
    store.put(f"stac/pending/dem-eu/x/E1.{'0' * 32}", b"{}")
    (note,) = read_notes(store)
    assert note.item_id == TILE
    assert note.may_go(None, datetime.now(UTC))
