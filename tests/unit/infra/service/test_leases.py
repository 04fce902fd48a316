"""Signs of life are judged by this service's own clock."""

from orograph.infra.service.leases import Leases
from tests.support.catalogue_world import MemoryStore


def test_an_owner_that_gives_no_sign_for_a_lease_is_dead():
    clock = [0.0]
    store = MemoryStore()
    ours, theirs = (Leases(store, name, 10.0, lambda: clock[0]) for name in ("ours", "theirs"))
    theirs.sign()
    assert ours.lives("theirs")
    clock[0] = 9.0
    assert ours.lives("theirs")
    theirs.sign()
    clock[0] = 18.0
    assert ours.lives("theirs")
    clock[0] = 29.0
    assert not ours.lives("theirs")
    assert store.objects == {}


def test_a_released_lease_is_free_at_once_and_the_own_one_always_lives():
    store = MemoryStore()
    ours, theirs = Leases(store, "ours", 10.0), Leases(store, "theirs", 10.0)
    theirs.sign()
    theirs.release()
    assert not ours.lives("theirs")
    assert not ours.lives("")
    assert ours.lives("ours")
