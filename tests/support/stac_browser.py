"""STAC Browser in Chromium on any catalogue: root, collection with its items, and a tile drawn on the map."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import numpy as np
from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles
from PIL import Image

from tests.support.catalogue_clients import Place
from tests.support.live import live

BUILT: Final = Path(os.environ.get("OROGRAPH_STAC_BROWSER", Path(__file__).parents[2] / "deploy/stac-browser/dist"))
_WAIT_MS: Final = 60_000
_MOST: Final = 0.8


def missing() -> str:
    """What this machine lacks for STAC Browser; empty when nothing."""
    if not (BUILT / "index.html").is_file():
        return "STAC Browser is not built (deploy/stac-browser/build.sh)"
    return "" if shutil.which("chromium") else "no Chromium here (Debian: chromium)"


@contextlib.contextmanager
def browser_page() -> Iterator[Any]:
    """A page of headless Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        yield browser.new_page(viewport={"width": 1280, "height": 1600})
        browser.close()


def stac_browser(place: Place, page: Any, screenshot: Path | None = None) -> str:
    """Open the catalogue, see the items on the collection's page, and a tile of relief on an item's map."""
    site = FastAPI()
    site.mount("/browser", StaticFiles(directory=BUILT, html=True))
    faults: list[str] = []
    hosts: set[str] = set()
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
    settings = (BUILT / "config.js").read_text()
    catalogue = f"window.STAC_BROWSER_CONFIG.catalogUrl = {json.dumps(place.catalogue)};"
    page.route(
        "**/config.js", lambda route: route.fulfill(body=f"{settings}\n{catalogue}", content_type="text/javascript")
    )
    with live(site) as address:
        page.goto(f"{address}/browser/")
        page.wait_for_selector("text=European terrain model, 50 km tiles", timeout=_WAIT_MS)
        page.click("text=European terrain model, 50 km tiles")
        if place.service is None:
            # A static collection has a catalogue per block, and the block the items.
            page.wait_for_selector("a:has-text('item')", timeout=_WAIT_MS)
            page.locator("a", has_text="item").filter(has_text="E4").first.click()
        for tile in place.tiles:
            page.wait_for_selector(f"a:has-text('{tile}')", timeout=_WAIT_MS)
        page.locator(f"a:has-text('{place.tiles[0]}')").first.click()
        page.wait_for_selector(f"h1:has-text('{place.tiles[0]}')", timeout=_WAIT_MS)
        drawn = _drawn(page)
        if screenshot is not None:
            page.screenshot(path=screenshot)
        assert drawn > _MOST, f"{drawn:.0%} of the map is drawn"
        assert faults == []
        others = hosts - {"", urlsplit(address).netloc, urlsplit(place.catalogue).netloc}
        assert not others, f"other hosts were asked: {others}"
    page.unroute("**/config.js")
    return "root, items, relief"


def _drawn(page: Any) -> float:
    """Share of the map's middle that is drawn on, once most of it is."""
    found = 0.0
    for _ in range(60):
        page.wait_for_timeout(500)
        picture = page.query_selector(".ol-viewport")
        if picture is None:
            continue
        greys = np.asarray(Image.open(io.BytesIO(picture.screenshot())).convert("L"))
        rows, cols = greys.shape
        # The box of the tile takes up most of the map's height; left and right of it the map is empty.
        found = float((greys[rows // 4 : -rows // 4, cols // 3 : -cols // 3] < 245).mean())
        if found > _MOST:
            break
    return found
