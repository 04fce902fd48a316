"""The community's validator finds no error in the search API: core, collections, features, item search, filter."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys

import pytest

from orograph.stac.publishing.publish import publish_item, rebuild
from orograph.stac.serving.api import search_app
from tests.conftest import skip_or_fail
from tests.support.catalogue_world import MemoryStore, make_manifest
from tests.support.live import live

AREA = {"type": "Polygon", "coordinates": [[[7, 45], [12, 45], [12, 49], [7, 49], [7, 45]]]}


@pytest.mark.slow
def test_stac_api_validator_reports_no_error(shared):
    schemas = shared("stac-schemas")
    if importlib.util.find_spec("stac_api_validator") is None:
        skip_or_fail("stac-api-validator", "stac-api-validator is not installed")
    store = MemoryStore()
    for number in range(30):
        publish_item(store, make_manifest(store, f"E{4000 + 50 * (number % 10)}N{2500 + 50 * (number // 10)}"))
    rebuild(store)
    classes = ("core", "collections", "features", "item-search", "filter")
    with live(search_app(store)) as url:
        words = ["--root-url", url, "--collection", "dem-eu", "--geometry", json.dumps(AREA), "--validate-pagination"]
        words += [word for name in classes for word in ("--conformance", name)]
        answer = subprocess.run(
            [sys.executable, "-m", "tests.support.offline_api_validator", str(schemas), *words],
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )
    assert "Errors: none" in answer.stdout, answer.stdout[-3000:] + answer.stderr[-2000:]
    assert answer.returncode == 0
