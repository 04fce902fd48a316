"""A catalogue as a site, with the browser where it is built."""

import pytest
from starlette.testclient import TestClient

from orograph.pipeline.errors import ConfigError
from orograph.stac.publishing.rebuild import rebuild
from orograph.stac.serving.site import catalogue_site
from tests.support.catalogue_world import MemoryStore


@pytest.fixture(scope="module")
def store():
    made = MemoryStore()
    rebuild(made)
    return made


def test_the_browser_is_served_below_its_path(store, tmp_path):
    (tmp_path / "index.html").write_text("<title>STAC Browser</title>")
    client = TestClient(catalogue_site(store, tmp_path))
    assert "STAC Browser" in client.get("/browser").text
    assert client.get("/").json()["type"] == "Catalog"


def test_a_folder_without_a_built_browser_is_rejected(store, tmp_path):
    with pytest.raises(ConfigError, match=r"build\.sh"):
        catalogue_site(store, tmp_path / "none")
