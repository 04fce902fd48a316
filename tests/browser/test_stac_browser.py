"""STAC Browser on our catalogue, in a real browser: the root, a tile, and the hillshade drawn in EPSG:3035."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image

from orograph.infra.stores.local import LocalStore
from orograph.stac.publishing.publish import publish_item, rebuild
from orograph.stac.serving.site import catalogue_site
from tests.conftest import skip_or_fail
from tests.support.catalogue_world import hillshade_bytes, make_manifest
from tests.support.live import live

pytestmark = [pytest.mark.browser, pytest.mark.slow]

BUILT = Path(os.environ.get("OROGRAPH_STAC_BROWSER", Path(__file__).parents[2] / "deploy/stac-browser/dist"))
CHROMIUM = shutil.which("chromium")


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    if not (BUILT / "index.html").is_file():
        skip_or_fail("stac-browser", "STAC Browser is not built (deploy/stac-browser/build.sh)")
    store = LocalStore(tmp_path_factory.mktemp("store"))
    publish_item(store, make_manifest(store, hillshade=hillshade_bytes()))
    rebuild(store)
    with live(catalogue_site(store, BUILT)) as url:
        yield url


@pytest.fixture(scope="module")
def page(address):
    if CHROMIUM is None:
        skip_or_fail("browser", "no Chromium here (Debian: chromium)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 1600})
        page.hosts, page.faults = set(), []
        page.on("request", lambda request: page.hosts.add(urlsplit(request.url).netloc))
        page.on("pageerror", lambda error: page.faults.append(str(error)))
        yield page
        browser.close()


def keep(page, name):
    """Screenshot into the folder the environment names, for people to look at."""
    folder = os.environ.get("OROGRAPH_SCREENSHOTS")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=Path(folder) / name)


def test_root_lists_the_collection(page, address):
    page.goto(f"{address}/browser/")
    page.wait_for_selector("text=European terrain model, 50 km tiles", timeout=60_000)
    page.wait_for_load_state("networkidle")
    keep(page, "browser_root.png")
    assert "Orograph" in page.inner_text("h1")
    assert page.faults == []


def test_tile_shows_its_hillshade(page, address, tmp_path):
    page.goto(f"{address}/browser/#/dem-eu/E4000N2500/E4300N2650/E4300N2650.json")
    page.wait_for_selector("text=European terrain model, tile E4300N2650", timeout=60_000)
    canvas = page.wait_for_selector(".ol-viewport canvas", timeout=60_000)
    page.wait_for_load_state("networkidle")
    for _ in range(60):
        page.wait_for_timeout(500)
        canvas = page.query_selector(".ol-viewport")
        canvas.screenshot(path=tmp_path / "map.png")
        greys = np.asarray(Image.open(tmp_path / "map.png").convert("L"), dtype=np.float64)
        if greys.std() > 25:
            break
    keep(page, "browser_tile.png")
    middle = greys[greys.shape[0] // 3 : -greys.shape[0] // 3, greys.shape[1] // 3 : -greys.shape[1] // 3]
    assert middle.std() > 25, "the hillshade is not on the map"
    text = page.inner_text("body")
    for words in ("EPSG:5621", "Survey", "Hillshade"):
        assert words in text, words
    assert page.faults == []


def test_no_other_host_is_asked(page, address):
    assert page.hosts == {urlsplit(address).netloc}
