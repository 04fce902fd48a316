"""Schemas are found without a network, and violations are sentences."""

import json

import pytest

from orograph.pipeline.errors import CatalogueError
from orograph.stac.documents.dem_profile import PROFILE_URI
from orograph.stac.documents.schemas import SchemaLibrary, extension_path

CATALOG = {"type": "Catalog", "stac_version": "1.1.0", "id": "a", "description": "d", "links": []}


@pytest.fixture(scope="module")
def library():
    return SchemaLibrary()


def test_a_catalogue_is_valid_and_a_fault_names_its_member(library):
    assert list(library.faults(CATALOG)) == []
    (fault,) = library.faults({**CATALOG, "id": 5})
    assert "id: 5 is not of type 'string'" in fault
    (kind,) = library.faults({**CATALOG, "type": "Map"})
    assert "none of STAC's" in kind


def test_the_profile_is_bundled_and_other_extensions_come_from_a_folder(library, tmp_path):
    uri = "https://stac-extensions.github.io/made/v1.0.0/schema.json"
    assert library.missing({PROFILE_URI, uri}) == {uri}
    with pytest.raises(CatalogueError, match="--schemas"):
        list(library.faults({**CATALOG, "stac_extensions": [uri]}))
    path = tmp_path / "made/v1.0.0/schema.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"required": ["made:by"]}))
    (fault,) = SchemaLibrary(tmp_path).faults({**CATALOG, "stac_extensions": [uri]})
    assert "'made:by' is a required property" in fault


def test_only_stac_extensions_have_a_path_in_the_folder():
    assert extension_path("https://stac-extensions.github.io/a/v1/schema.json#") == "a/v1/schema.json"
    assert extension_path("https://stac-extensions.github.io/../schema.json") is None
    assert extension_path("https://host/a/v1/schema.json") is None
