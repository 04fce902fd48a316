"""The page in Debian's Chromium: it draws, answers clicks and keys, orders, and asks no other host for anything.

Screenshots go to the folder OROGRAPH_SCREENSHOTS names, else to pytest's temporary folder.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uvicorn
from PIL import Image

from orograph.infra.service.app import create_app
from orograph.infra.service.settings import ServiceSettings
from tests.conftest import skip_or_fail
from tests.support.service_world import UNPUBLISHED, WEST, Engine, World

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(240)]

CHROMIUM = shutil.which("chromium")
READY = "body[data-ready=true]"
LOADED = """() => new Promise((done) => {
  const map = window.orograph.map, stop = setTimeout(done, 20000);
  const look = () => (map.areTilesLoaded() ? (clearTimeout(stop), done()) : setTimeout(look, 150));
  setTimeout(look, 500);
})"""
PICK = """(id) => { const { map, pick } = window.orograph; const at = map.getCenter();
  const hit = map.queryRenderedFeatures(map.project(at), { layers: ["tile-hit"] })[0];
  return pick(at, id || hit?.properties.id); }"""


@dataclass
class Site:
    """A running service and what a browser made of it."""

    url: str
    world: World
    engine: Engine
    shots: Path
    hosts: set[str] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    world = World(tmp_path_factory.mktemp("world"), pixel_m=100.0)
    world.publish()
    engine = Engine(pace_s=0.15)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = ServiceSettings(port=port, plan_fresh_s=0.1, keys_file=tmp_path_factory.mktemp("keys") / "keys.json")
    server = uvicorn.Server(
        uvicorn.Config(create_app(settings, world.parts(engine)), port=port, log_level="error", ws="none")
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 30
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.05)
    shots = Path(os.environ.get("OROGRAPH_SCREENSHOTS") or tmp_path_factory.mktemp("screenshots"))
    shots.mkdir(parents=True, exist_ok=True)
    yield Site(f"http://127.0.0.1:{port}/", world, engine, shots)
    server.should_exit = True
    thread.join(20)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        skip_or_fail("browser", "Debian's chromium is not installed")
    from playwright.sync_api import sync_playwright

    arguments = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield made
        made.close()


def opened(browser: Any, site: Site, width: int = 1280, height: int = 800, **options: Any) -> Any:
    page = browser.new_page(viewport={"width": width, "height": height}, reduced_motion="reduce", **options)
    page.on("request", lambda request: site.hosts.add(request.url.split("/")[2] if "://" in request.url else ""))
    page.on("pageerror", lambda error: site.faults.append(str(error)))
    page.on("console", lambda said: site.faults.append(said.text) if said.type == "error" else None)
    page.goto(site.url)
    page.wait_for_selector(READY, timeout=60_000)
    page.evaluate(LOADED)
    return page


@pytest.fixture(scope="module")
def page(browser: Any, site: Site) -> Iterator[Any]:
    made = opened(browser, site)
    yield made
    made.close()


def until(page: Any, expression: str, seconds: float = 30.0) -> None:
    """Wait for an expression: asked from here, as the page's own policy lets nobody evaluate text in it."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if page.evaluate(f"() => Boolean({expression})"):
            return
        page.wait_for_timeout(100)
    raise AssertionError(f"not within {seconds} s: {expression}")


def shot(page: Any, site: Site, name: str) -> np.ndarray:
    path = site.shots / f"{name}.png"
    page.screenshot(path=path)
    return np.asarray(Image.open(path).convert("RGB")).astype(np.float32)


def middle(pixels: np.ndarray) -> np.ndarray:
    rows, cols, _ = pixels.shape
    return pixels[int(rows * 0.4) : int(rows * 0.6), int(cols * 0.45) : int(cols * 0.7)]


def test_relief_is_drawn(page: Any, site: Site) -> None:
    assert middle(shot(page, site, "page")).std() > 12
    assert "2 tiles" in page.inner_text("#summary")


def test_layers_differ_and_have_legends(page: Any, site: Site) -> None:
    relief = middle(shot(page, site, "page"))
    layers = enumerate(("hillshade", "slope", "aspect", "uncertainty", "source", "difference"), 2)
    for key, layer in ((str(key), layer) for key, layer in layers):
        page.keyboard.press(key)
        page.evaluate(LOADED)
        assert np.abs(middle(shot(page, site, layer)) - relief).mean() > 12, layer
        assert page.inner_text("#legend").strip()
    assert "layer=difference&other=glo-30" in page.url
    page.keyboard.press("1")
    page.evaluate(LOADED)


def test_the_legend_spans_the_heights_in_view(page: Any, site: Site) -> None:
    until(page, "document.querySelectorAll('#legend .ticks span').length > 1")
    figures = page.request.get(f"{site.url}map/range?bbox=9,46,11.5,48").json()
    ticks = [float(text) for text in page.locator("#legend .ticks span").all_inner_texts()]
    assert figures["min_m"] <= min(ticks)
    assert max(ticks) <= figures["max_m"]
    page.check("#fit")
    until(page, "window.orograph.view.span !== null")
    assert "fit=1" in page.url
    page.uncheck("#fit")


def test_a_tile_opens_with_figures_and_downloads(page: Any, site: Site) -> None:
    page.evaluate(PICK, WEST.id)
    page.wait_for_selector("#tile .figures")
    words = page.inner_text("#tile")
    assert WEST.id in words
    assert "1.40 m" in words
    assert "+4.20 E" in words
    assert "moved by" in words
    assert "COG of the heights" in words
    copied = page.locator("#tile [data-copy]").first.get_attribute("data-copy")
    assert page.request.get(copied).json()["id"] == WEST.id
    assert f"tile={WEST.id}" in page.url
    link = page.locator("#files a").first.get_attribute("href")
    assert page.request.get(site.url.rstrip("/") + link, headers={"range": "bytes=0-15"}).status == 206
    page.wait_for_selector("#readout strong")
    assert " m" in page.inner_text("#readout strong")
    shot(page, site, "tile")


def test_settings_of_an_order_are_offered_with_what_they_take(page: Any, site: Site) -> None:
    page.click("#settings summary")
    page.wait_for_selector("#choices select")
    names = page.evaluate("() => [...document.querySelectorAll('#choices select')].map((e) => e.dataset.name)")
    assert set(names) == {"superres", "bare_earth", "pixel_size_m", "target_frame"}
    until(page, "document.querySelector('#estimate').textContent.includes('already')")
    page.select_option("[data-name=pixel_size_m]", "25")
    until(page, "document.querySelector('#estimate').textContent.includes('4.0 million pixels')")
    shot(page, site, "settings")
    page.select_option("[data-name=pixel_size_m]", "100")
    page.click("#settings summary")


def test_reprocess_reports_up_to_date(page: Any, site: Site) -> None:
    page.click("#order")
    until(page, "document.querySelector('#said')?.textContent.includes('up to date')")


def test_reprocess_shows_live_progress(page: Any, site: Site) -> None:
    site.world.source_version = "2"
    time.sleep(0.3)
    page.click("#order")
    page.wait_for_selector("#progress:not([hidden])")
    until(page, "document.querySelector('#progress .what').textContent !== 'Waiting'")
    shot(page, site, "progress")
    until(
        page,
        "document.querySelector('.chip')?.textContent === 'published' && !document.querySelector('#progress .fill')?.style.width",
    )
    assert len(site.engine.ran) == 1
    page.keyboard.press("Escape")
    assert page.locator("#tile").is_hidden()


def test_a_waiting_tile_is_seen_in_the_grid(page: Any, site: Site) -> None:
    site.engine.gate.clear()
    answer = page.request.post(
        f"{site.url}processes/reprocess-tile/execution",
        data={"inputs": {"tile": UNPUBLISHED.id}},
        headers={"prefer": "respond-async"},
    )
    assert answer.status == 201
    page.evaluate(
        "() => fetch('/map/tiles').then((r) => r.json()).then((t) => window.orograph.map.getSource('tiles').setData(t))"
    )
    page.evaluate("() => window.orograph.map.easeTo({ zoom: window.orograph.map.getZoom() - 1, duration: 0 })")
    page.evaluate(LOADED)
    page.wait_for_timeout(600)
    states = page.evaluate(
        "() => window.orograph.map.querySourceFeatures('tiles').map((f) => [f.properties.id, f.properties.state])"
    )
    assert dict(states)[UNPUBLISHED.id] in {"accepted", "running"}
    shot(page, site, "states")
    page.request.delete(answer.json()["links"][0]["href"])
    site.engine.gate.set()


def test_terrain_stands_up(page: Any, site: Site) -> None:
    flat = shot(page, site, "flat")
    page.keyboard.press("t")
    page.wait_for_timeout(1500)
    page.evaluate(LOADED)
    page.wait_for_timeout(800)
    assert page.evaluate("() => window.orograph.map.getTerrain()?.source") == "terrain"
    assert np.abs(shot(page, site, "terrain") - flat).mean() > 5
    page.keyboard.press("t")
    page.wait_for_timeout(600)


def test_compare_swipes_between_source_and_product(page: Any, site: Site) -> None:
    page.evaluate("() => window.orograph.map.jumpTo({ zoom: 9.6 })")
    page.keyboard.press("c")
    until(page, "window.orograph.compare.other?.loaded() && window.orograph.compare.other.areTilesLoaded()")
    page.wait_for_timeout(800)
    before = shot(page, site, "compare")
    page.focus("#divider")
    for _ in range(3):
        page.keyboard.press("PageDown")
    assert page.get_attribute("#divider", "aria-valuenow") == "20"
    page.wait_for_timeout(300)
    changed = np.abs(shot(page, site, "compare-moved") - before)[300:700, 400:620]
    assert changed.mean() > 1
    assert "compare=glo-30" in page.url
    page.keyboard.press("Escape")  # the height
    page.keyboard.press("Escape")
    assert page.locator("#divider").is_hidden()


def test_a_profile_by_keyboard(page: Any, site: Site) -> None:
    page.keyboard.press("p")
    page.keyboard.press("x")
    page.wait_for_selector("#plot svg")
    page.check("#products input[value=glo-30]")
    until(page, "window.orograph.profile.data?.also_m['glo-30']?.length === 400")
    page.focus("#plot")
    page.keyboard.press("End")
    assert "others" in page.inner_text("#at")
    page.keyboard.press("Home")
    shot(page, site, "profile")
    assert page.get_attribute("#plot", "aria-valuenow") == "0"
    assert {"height, m", "distance, km"} <= set(page.locator("#plot text").all_text_contents())


def test_a_profile_is_saved_and_found_again_by_its_address(browser: Any, page: Any, site: Site) -> None:
    files = {}
    for form in ("csv", "geojson", "png"):
        with page.expect_download() as waiting:
            page.click(f"[data-save={form}]")
        files[form] = Path(waiting.value.path()).read_bytes()
    rows = files["csv"].decode().splitlines()
    assert rows[0] == "distance_m,lon,lat,height_m,uncertainty_m,source,height_glo-30_m"
    assert len(rows) == 401
    feature = json.loads(files["geojson"])
    assert len(feature["geometry"]["coordinates"]) == 400
    assert Image.open(io.BytesIO(files["png"])).width > 1000
    again = browser.new_page()
    again.goto(page.url)
    again.wait_for_selector("#plot svg")
    assert again.is_checked("#products input[value=glo-30]")
    again.close()
    page.keyboard.press("Escape")
    assert page.locator("#chart").is_hidden()
    assert "profile" not in page.url


def test_roads_are_drawn_at_small_scales_only(page: Any, site: Site) -> None:
    seen = "window.orograph.map.queryRenderedFeatures({layers: ['road']}).length"
    assert page.evaluate(f"() => {seen}") == 0
    before = page.evaluate("() => { const { map } = window.orograph; return [map.getCenter(), map.getZoom()]; }")
    page.evaluate("() => window.orograph.map.jumpTo({ zoom: 5.5 })")
    until(page, f"{seen} > 0")
    page.evaluate("([center, zoom]) => window.orograph.map.jumpTo({ center, zoom })", before)
    page.evaluate(LOADED)


def test_contours_are_drawn_in_the_browser(page: Any, site: Site) -> None:
    plain = middle(shot(page, site, "plain"))
    page.keyboard.press("l")
    until(
        page,
        "window.orograph.map.getLayer('contour') && window.orograph.map.queryRenderedFeatures({layers: ['contour']}).length > 0",
    )
    page.wait_for_timeout(400)
    assert np.abs(middle(shot(page, site, "contours")) - plain).mean() > 1
    heights = page.evaluate(
        "() => window.orograph.map.queryRenderedFeatures({layers: ['contour']}).map((f) => f.properties.ele)"
    )
    assert all(height % 10 == 0 and 200 <= height <= 2700 for height in heights)
    page.keyboard.press("l")


def test_places_tiles_and_coordinates_are_found(page: Any, site: Site) -> None:
    page.fill("#search", "dornb")
    page.wait_for_selector("#found li")
    assert page.locator("#found li").first.inner_text().startswith("Dornbirn")
    page.keyboard.press("Enter")
    until(page, "Math.abs(window.orograph.map.getCenter().lng - 9.74) < 0.02")
    page.fill("#search", "47.1, 10.2")
    page.keyboard.press("Enter")
    until(page, "Math.abs(window.orograph.map.getCenter().lat - 47.1) < 0.01")
    page.fill("#search", WEST.id.lower())
    page.keyboard.press("Enter")
    page.wait_for_selector("#tile .figures")
    page.locator("#tile .close").click()


def test_addresses_for_other_programs_answer(page: Any, site: Site) -> None:
    page.click("#use")
    hrefs = page.evaluate("() => [...document.querySelectorAll('#links a')].map((a) => a.href)")
    assert len(hrefs) == 8
    assert [page.request.get(href).status for href in hrefs] == [200] * 8
    page.keyboard.press("Escape")


def test_a_phone_has_room(browser: Any, site: Site) -> None:
    page = opened(browser, site, 390, 780, device_scale_factor=2, is_mobile=True, has_touch=True)
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    tools = page.locator("#tools").bounding_box()
    assert tools["height"] < 160
    shot(page, site, "phone")
    page.touchscreen.tap(120, 420)
    page.wait_for_selector("#readout strong")
    assert page.inner_text("#readout strong").endswith(" m")
    assert "source" in page.inner_text("#readout")
    assert "±" in page.inner_text("#readout")
    assert page.locator("#tile").is_hidden()
    shot(page, site, "phone-height")
    page.click("#readout .to-tile")
    page.wait_for_selector("#tile .figures")
    page.wait_for_timeout(300)
    panel = page.locator("#tile").bounding_box()
    assert panel["x"] >= 0
    assert panel["width"] <= 390
    shot(page, site, "phone-tile")
    page.close()


def test_a_phone_paints_soon_and_loads_little(browser: Any, site: Site) -> None:
    """Bytes over the wire until the map is ready, and the first paint, on a phone's view."""
    page = opened(browser, site, 390, 780, device_scale_factor=2, is_mobile=True, has_touch=True)
    painted, loaded = page.evaluate(
        """() => [performance.getEntriesByName("first-contentful-paint")[0]?.startTime,
          [...performance.getEntriesByType("resource"), ...performance.getEntriesByType("navigation")]
            .filter((one) => !/cities|water|roads/.test(one.name)).reduce((sum, one) => sum + one.transferSize, 0)]"""
    )
    # A worker of the map loads the land; place names, water and roads come when the map is ready.
    land = page.request.get(f"{site.url}static/land.json", headers={"accept-encoding": "gzip"})
    loaded += int(land.headers["content-length"])
    print(f"first paint {painted:.0f} ms, {loaded / 1000:.0f} kB")
    assert loaded < 600_000
    assert painted < 8_000, "one second on an idle machine; tests share theirs"
    page.close()


def test_axe_finds_no_fault(page: Any, site: Site) -> None:
    """WCAG 2.1 A and AA by axe-core, colour contrast among it, with the panels open."""
    from axe_playwright_python.sync_playwright import Axe

    page.evaluate(PICK, WEST.id)
    page.wait_for_selector("#tile .figures")
    results = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]})
    faults = [(one["id"], [node["html"][:120] for node in one["nodes"]]) for one in results.response["violations"]]
    assert faults == []
    page.locator("#tile .close").click()


def test_everything_can_be_named_and_reached(page: Any, site: Site) -> None:
    unnamed = page.evaluate(
        """() => [...document.querySelectorAll("button, [role=slider], [role=radio], select, input")]
          .filter((e) => !(e.textContent.trim() || e.getAttribute("aria-label") || e.title || e.labels?.length)).map((e) => e.outerHTML)"""
    )
    assert unnamed == []
    order = []
    page.evaluate("() => document.activeElement.blur()")
    for _ in range(20):
        page.keyboard.press("Tab")
        order.append(page.evaluate("() => document.activeElement.id || document.activeElement.className"))
    assert {"threed", "compare", "profile", "grid"} & set(order) or "maplibregl-canvas" in order


def test_no_other_host_is_asked_and_nothing_failed(page: Any, site: Site) -> None:
    assert site.hosts <= {site.url.split("/")[2], ""}
    assert site.faults == []
