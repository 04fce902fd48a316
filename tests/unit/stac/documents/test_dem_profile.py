"""The profile's fields say what a tile is made of, without paths or signatures."""

import pytest

from orograph.stac.documents.dem_profile import contributing, dem_fields, lineage, profile_schema, public_name
from tests.support.catalogue_world import MemoryStore, make_manifest


@pytest.fixture(scope="module")
def manifest():
    return make_manifest(MemoryStore())


def test_the_fields_are_those_of_the_schema(manifest):
    known = profile_schema()["definitions"]["fields"]["properties"]
    assert set(dem_fields(manifest)) <= set(known)
    assert dem_fields(manifest)["dem:vertical_datum"] == manifest.vertical_frame


def test_le90_is_1_645_standard_deviations(manifest):
    quality = manifest.quality.model_copy(update={"uncertainty_median_m": 2.0})
    fields = dem_fields(manifest.model_copy(update={"quality": quality}))
    assert fields["dem:vertical_accuracy_le90_m"] == 3.29


def test_sources_without_pixels_are_left_out(manifest):
    first = manifest.sources[0].source.id
    quality = manifest.quality.model_copy(update={"source_fractions": {first: 1.0}})
    assert [ref.source.id for ref in contributing(manifest.model_copy(update={"quality": quality}))] == [first]
    nothing = manifest.quality.model_copy(update={"source_fractions": {}})
    assert contributing(manifest.model_copy(update={"quality": nothing})) == manifest.sources


@pytest.mark.parametrize(
    ("models", "says"),
    [
        ({"superres": "keys6"}, "upsampled by keys6"),
        ({"superres": "superres-s", "superres_sha256": "ab"}, "super-resolved by superres-s"),
        ({"bare_earth": "opening"}, "reduced to bare earth by opening"),
    ],
)
def test_the_lineage_names_the_models(manifest, models, says):
    assert says in lineage(manifest.model_copy(update={"models": models}))


def test_names_have_no_folder_and_no_signature():
    assert public_name("s3://b/secret/a.tif?X-Amz-Signature=1") == "a.tif"
