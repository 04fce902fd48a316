"""Orders are kept in the store; others' changes are seen, and none is lost."""

from datetime import timedelta

import pytest

from orograph.infra.service.job_records import JobBook, JobRecord, JobStatus, job_id, now
from orograph.pipeline.errors import CatalogueError
from tests.support.catalogue_world import MemoryStore


def record(letter="a", **values):
    return JobRecord(id=letter * 32, tile="E4300N2650", run_key="k", created=now(), updated=now(), **values)


def test_the_first_order_wins_and_two_books_see_one_record():
    store, seen = MemoryStore(), []
    book, other = JobBook(store, seen.append), JobBook(store, lambda _: None)
    assert book.add(record()) == (seen[0], True)
    assert other.add(record())[1] is False
    other.change("a" * 32, lambda found: found.changed(status=JobStatus.RUNNING))
    assert book.get("a" * 32).status is JobStatus.RUNNING
    assert book.change("a" * 32, lambda _: None).status is JobStatus.RUNNING
    assert book.change("b" * 32, lambda found: found) is None


def test_progress_in_memory_is_ahead_of_the_store_until_the_end():
    book = JobBook(MemoryStore(), lambda _: None)
    book.add(record())
    book.show(book.known("a" * 32).changed(progress=0.5))
    assert book.get("a" * 32).progress == 0.5
    ended = book.change("a" * 32, lambda found: found.changed(status=JobStatus.FAILED))
    assert book.get("a" * 32) == ended
    assert ended.revision == 2


def test_old_finished_records_are_forgotten_and_unfinished_ones_found():
    store = MemoryStore()
    book = JobBook(store, lambda _: None, timedelta(days=1))
    old = now() - timedelta(days=2)
    book.add(record("a"))
    book.add(record("b", status=JobStatus.SUCCESSFUL).model_copy(update={"updated": old}))
    assert [found.id[0] for found in book.refresh()] == ["a"]
    assert len(store.objects) == 1


def test_a_damaged_record_is_an_error_and_ids_depend_on_the_caller():
    store = MemoryStore()
    store.put(record().key, b"{}")
    with pytest.raises(CatalogueError, match="not a job record"):
        JobBook(store, lambda _: None).get("a" * 32)
    assert job_id("k") == job_id("k", "", "me")
    assert len({job_id("k"), job_id("k", "x", "me"), job_id("k", "x", "you")}) == 3
