"""References carry files' identity into run keys; long lists stand for their files by digest."""

import pickle

import pytest
from pydantic import ValidationError

from orograph.pipeline.sources.catalogue import Thinning
from orograph.pipeline.sources.refs import FileListing, FileRef, SourceRef, ThinningCheck, listing_digest
from tests.support.worlds import SOURCE

A, B = (FileRef(href=f"/{name}.tif", etag=name, size_bytes=2) for name in "ab")


def test_the_digest_follows_names_etags_order_and_side_cars():
    beside = A.model_copy(update={"sidecars": (FileRef(href="/a.tfw", etag="w", size_bytes=1),)})
    digests = [listing_digest(files) for files in ((A, B), (B, A), (beside, B), (A,))]
    assert len(set(digests)) == 4
    assert listing_digest((A.model_copy(update={"size_bytes": 9}),)) == listing_digest((A,))


def test_a_source_has_either_files_or_a_listing():
    listing = FileListing.of((A, B))
    assert (listing.count, listing.size_bytes) == (2, 4)
    assert SourceRef(source=SOURCE, listing=listing).files_digest == SourceRef(source=SOURCE, files=(A, B)).files_digest
    for wrong in ({}, {"files": (A,), "listing": listing}):
        with pytest.raises(ValidationError, match="either files or a listing"):
            SourceRef(source=SOURCE, **wrong)


def test_listings_of_two_tiles_add_up():
    one, other = SourceRef(source=SOURCE, files=(A,)), SourceRef(source=SOURCE, files=(A, B))
    joined = FileListing.joined(one, other)
    assert (joined.count, joined.size_bytes) == (3, 6)
    assert joined.sha256 != FileListing.joined(other, one).sha256


def test_checked_thinning_and_declared_noise_replace_the_declaration():
    ref = SourceRef(source=SOURCE, files=(A,))
    assert ref.thinning is Thinning.AVERAGED
    assert ref.sensor is None
    checked = ref.model_copy(update={"thinning_check": ThinningCheck(used=Thinning.DECIMATED, windows=3)})
    assert checked.thinning is Thinning.DECIMATED
    noisy = SourceRef(source=SOURCE.model_copy(update={"noise_m": 0.5}), files=(A,))
    assert noisy.sensor is not None


def test_a_reference_of_known_values_is_like_a_validated_one():
    beside = FileRef(href="/a.tfw", etag="w", size_bytes=1)
    fast = FileRef.checked("/a.tif", "a", 2, sidecars=(beside,))
    slow = FileRef(href="/a.tif", etag="a", size_bytes=2, sha256=None, blocks_sha256=None, sidecars=(beside,))
    assert fast == slow == pickle.loads(pickle.dumps(fast))  # noqa: S301 - bytes of this test
    assert fast.model_dump_json() == slow.model_dump_json()
    assert fast.model_copy(update={"etag": "b"}).etag == "b"
    assert hash(fast) == hash(slow)
