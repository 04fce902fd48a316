"""Long lists of files leave jobs, manifests and items, and nothing private goes with them."""

import json

from orograph.pipeline.file_lists import INLINE_FILES, list_product, shortened
from orograph.pipeline.sources.refs import FileListing, FileRef, SourceRef
from tests.support.worlds import SOURCE


def ref_of(count):
    files = tuple(FileRef(href=f"/data/private/{n}.tif", etag=f"e{n}", size_bytes=n) for n in range(count))
    return SourceRef(source=SOURCE, files=files)


def test_few_files_stay_and_many_become_a_listing_with_their_digest():
    few, many = ref_of(INLINE_FILES), ref_of(INLINE_FILES + 1)
    assert shortened(few) is few
    short = shortened(many)
    assert short.files == ()
    assert short.listing == FileListing.of(many.files)
    assert short.files_digest == many.files_digest
    assert short.size_bytes == sum(range(INLINE_FILES + 1))


def test_the_list_is_a_product_without_local_folders(tmp_path):
    assert list_product([ref_of(3)], tmp_path) is None
    product = list_product([ref_of(3), ref_of(20)], tmp_path)
    listed = json.loads(product.path.read_text())
    assert [len(listed[name]) for name in listed] == [20]
    assert "/data/private" not in product.path.read_text()
    assert product.info.filename == product.path.name
