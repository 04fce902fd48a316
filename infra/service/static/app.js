// The page: one map, its tools, and what they do.
import * as maplibre from "./vendor/maplibre-gl.mjs";
import { lineFrom, readAddress, writeAddress } from "./address.js";
import { getJson } from "./api.js";
import { Compare } from "./compare.js";
import { CONTOURS, addContours } from "./contours.js";
import { $, isPhone, still, text } from "./dom.js";
import { legend, niceSpan } from "./legend.js";
import { showLinks } from "./links.js";
import { TilePanel } from "./panel.js";
import { Search, placeFeatures, showPlaces, showRoads, showWater } from "./places.js";
import { Profile } from "./profile.js";
import { GRID, hatch, styleOf, tileUrl, withBase, withKey } from "./style.js";

const LAYERS = ["relief", "hillshade", "slope", "aspect", "uncertainty", "source", "difference"];
const view = { layer: "relief", other: "", version: Date.now().toString(36), span: null, fit: false, chosen: null };

async function start() {
  const asked = readAddress();
  const [state, first] = await Promise.all([getJson("/map/state"), getJson("/map/tiles")]);
  let tiles = first, range = null;
  $("summary").textContent = state.tiles ? `${state.tiles} tile${state.tiles > 1 ? "s" : ""} of 50 km published` : "Nothing is published yet";
  fold(!isPhone());
  fillOthers(state, asked);
  const picture = () => tileUrl(view.layer, view.version, view.layer === "difference" ? view.other : "", view.span);
  let style = styleOf(state, tiles, picture(), view.version);
  if (state.baseStyle) style = await withBase(style, new URL(state.baseStyle, document.baseURI).href).catch((error) => { console.warn(`base style: ${error.message}`); return style; });
  const map = new maplibre.Map({ container: "map", style, hash: "map", transformRequest: withKey, maxPitch: 75, attributionControl: false, ...opening(state) });
  map.addImage("hatch", hatch());
  map.addControl(new maplibre.NavigationControl({ visualizePitch: true }), "top-right");
  map.addControl(new maplibre.ScaleControl({}), "bottom-left");
  map.addControl(new maplibre.AttributionControl({ compact: true, customAttribution: [...new Set(state.sources.map((s) => s.attribution).filter(Boolean)), "Natural Earth", "GeoNames", "roads © OpenStreetMap contributors"].join(" · ") }), "bottom-left");
  const probe = new maplibre.Marker({ element: Object.assign(document.createElement("div"), { className: "probe" }) });
  const setProbe = (at) => (at ? probe.setLngLat(at).addTo(map) : probe.remove());
  const hint = (words) => { $("hint").textContent = words; $("hint").hidden = !words; };

  const panel = new TilePanel($("tile"), state, { closed: () => choose(null), changed: (_id, status) => refresh(status.status === "successful") });
  const profile = new Profile(map, $("chart"), state, { hint, probe: setProbe, closed: () => stopProfile(), changed: () => writeAddress({ profile: profile.line, also: profile.line ? profile.also.join(",") : null }) });
  const compare = new Compare(maplibre, map, state, { raw: $("raw"), divider: $("divider"), name: $("raw-name") });

  function setLayer(layer) {
    view.layer = layer;
    for (const button of $("layers").children) button.setAttribute("aria-checked", button.dataset.layer === layer), (button.tabIndex = button.dataset.layer === layer ? 0 : -1);
    repaint();
    showChoices();
    writeAddress({ layer: layer === "relief" ? null : layer, other: layer === "difference" ? view.other : null });
  }

  function repaint() {
    map.getSource("picture").setTiles([picture()]);
    legend($("legend"), state, view, range);
    if (compare.on) compare.open(view.other, view, tiles);
  }

  function showChoices() {
    $("other-choice").hidden = !(compare.on || view.layer === "difference");
    $("fit-choice").hidden = view.layer !== "relief";
    $("exaggeration-choice").hidden = !map.getTerrain();
  }

  function setOther(id) {
    view.other = $("other").value = id;
    if (view.layer === "difference") { repaint(); writeAddress({ other: id }); }
    else if (compare.on) setCompare(true);
  }

  // The heights in view: what the legend shows, and with `fit` what the colours span.
  async function measure() {
    const box = map.getBounds(), edges = [box.getWest(), box.getSouth(), box.getEast(), box.getNorth()].map((v, i) => Math.max(i % 2 ? -85 : -180, Math.min(i % 2 ? 85 : 180, v)).toFixed(4));
    const found = await getJson(`/map/range?bbox=${edges.join(",")}`).catch(() => null);
    if (!found) return;
    range = found.min_m == null ? null : found;
    const span = view.fit && range ? niceSpan(range) : null;
    if (String(span) !== String(view.span)) { view.span = span; repaint(); } else legend($("legend"), state, view, range);
  }

  function setFit(on) {
    view.fit = $("fit").checked = on;
    writeAddress({ fit: on });
    return measure();
  }

  function set3d(on, times = null) {
    const shown = on ? times || overstated(map.getZoom(), state.legend.height.at(-1).value) : 1;
    $("threed").setAttribute("aria-pressed", on);
    map.setTerrain(on ? { source: "terrain", exaggeration: shown } : null);
    compare.terrain(map.getTerrain());
    $("exaggeration").value = shown;
    $("exaggeration-is").textContent = shown.toFixed(1);
    showChoices();
    writeAddress({ "3d": on ? shown.toFixed(1) : null });
    if (times === null) map.easeTo({ pitch: on ? 62 : 0, bearing: on ? -18 : 0, zoom: map.getZoom() + (on ? 0.5 : -0.5), duration: still() ? 0 : 900 });
  }

  async function setContours(on) {
    $("contours").setAttribute("aria-pressed", on);
    writeAddress({ contours: on });
    if (on) await addContours(maplibre, map, state, view.version);
    if (map.getLayer("contour")) CONTOURS.forEach((id) => map.setLayoutProperty(id, "visibility", on ? "visible" : "none"));
  }

  function setCompare(on) {
    $("compare").setAttribute("aria-pressed", on);
    if (on) compare.open(view.other, view, tiles); else compare.close();
    showChoices();
    writeAddress({ compare: on ? view.other : null });
  }

  function setGrid(on) {
    $("grid").setAttribute("aria-pressed", on);
    GRID.forEach((id) => map.setLayoutProperty(id, "visibility", on ? "visible" : "none"));
  }

  function startProfile() { $("profile").setAttribute("aria-pressed", true); if (isPhone()) fold(false); map.getCanvas().style.cursor = "crosshair"; map.doubleClickZoom.disable(); profile.start(); }
  function stopProfile() { $("profile").setAttribute("aria-pressed", false); map.getCanvas().style.cursor = ""; map.doubleClickZoom.enable(); profile.stop(); }

  function choose(id) {
    if (view.chosen) map.setFeatureState({ source: "tiles", id: view.chosen }, { chosen: false });
    view.chosen = id;
    if (id) map.setFeatureState({ source: "tiles", id }, { chosen: true });
    writeAddress({ tile: id });
  }

  function openTile(id) {
    const feature = tiles.features.find((one) => one.id === id);
    if (feature && id !== panel.id) { choose(id); panel.open(feature.properties); }
    return Boolean(feature);
  }

  async function read(lngLat) {
    setProbe(lngLat);
    const at = await getJson(`/map/point?lon=${lngLat.lng.toFixed(7)}&lat=${lngLat.lat.toFixed(7)}`).catch((error) => ({ fault: error.message }));
    $("readout").hidden = false;
    $("readout").replaceChildren(...readoutOf(at, { close: clearReadout, open: () => openTile(at.tile) }, state));
  }

  function clearReadout() { $("readout").hidden = true; setProbe(null); }

  // On a phone the panel would hide the map: a tap shows the height, and the height leads to the tile.
  async function pick(lngLat, id) {
    await read(lngLat);
    if (id && !isPhone()) openTile(id);
  }

  async function refresh(remade) {
    tiles = await getJson("/map/tiles");
    map.getSource("tiles").setData(tiles);
    if (view.chosen) map.setFeatureState({ source: "tiles", id: view.chosen }, { chosen: true });
    if (!remade) return;
    view.version = Date.now().toString(36);
    repaint();
    map.getSource("terrain").setTiles([tileUrl("terrain", view.version)]);
    const chosen = tiles.features.find((one) => one.id === view.chosen);
    if (chosen) panel.open(chosen.properties);
  }

  function goTo(lon, lat, zoom) { setProbe([lon, lat]); map.easeTo({ center: [lon, lat], zoom, duration: still() ? 0 : 900 }); }

  function goToTile(id) {
    const feature = tiles.features.find((one) => one.id === id);
    if (!feature) return hint(`The tile ${id} is not published.`);
    hint("");
    const ring = feature.geometry.coordinates.flat(feature.geometry.type === "MultiPolygon" ? 2 : 1), lons = ring.map((at) => at[0]), lats = ring.map((at) => at[1]);
    map.fitBounds([[Math.min(...lons), Math.min(...lats)], [Math.max(...lons), Math.max(...lats)]], { padding: 60, duration: 0 });
    return openTile(id);
  }

  new Search($("search"), $("found"), { go: goTo, tile: goToTile, all: (document) => map.getSource("places")?.setData(placeFeatures(document)) });

  map.on("click", (event) => {
    if (profile.active) return profile.add(event.lngLat);
    const hit = map.queryRenderedFeatures(event.point, { layers: ["tile-hit"] })[0];
    pick(event.lngLat, hit?.properties.id);
  });
  map.on("dblclick", () => profile.active && profile.finish());
  map.on("mousemove", "tile-hit", () => { if (!profile.active) map.getCanvas().style.cursor = "pointer"; });
  map.on("mouseleave", "tile-hit", () => { if (!profile.active) map.getCanvas().style.cursor = ""; });
  map.getCanvas().addEventListener("focus", () => { $("cross").hidden = !map.getCanvas().matches(":focus-visible"); });
  map.getCanvas().addEventListener("blur", () => { $("cross").hidden = true; });
  let waiting = 0;
  map.on("moveend", () => { clearTimeout(waiting); waiting = setTimeout(measure, 350); });

  $("layers").onclick = (event) => event.target.dataset.layer && setLayer(event.target.dataset.layer);
  $("layers").onkeydown = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const next = LAYERS[(LAYERS.indexOf(view.layer) + step + LAYERS.length) % LAYERS.length];
    setLayer(next);
    $("layers").querySelector(`[data-layer=${next}]`).focus();
  };
  const pressed = (id) => $(id).getAttribute("aria-pressed") === "true";
  const toggles = { threed: () => set3d(!pressed("threed")), contours: () => setContours(!pressed("contours")), compare: () => setCompare(!pressed("compare")), profile: () => (pressed("profile") ? stopProfile() : startProfile()), grid: () => setGrid(!pressed("grid")) };
  for (const [id, action] of Object.entries(toggles)) $(id).onclick = action;
  $("other").onchange = () => setOther($("other").value);
  $("fit").onchange = () => setFit($("fit").checked);
  $("exaggeration").oninput = () => set3d(true, Number($("exaggeration").value));
  $("more").onclick = () => fold($("more").getAttribute("aria-expanded") !== "true");
  $("use").onclick = () => showLinks($("links"), view);
  $("about").onclick = () => $("help").showModal();

  document.addEventListener("keydown", (event) => {
    if (event.target.matches("input:not([type=checkbox]):not([type=range]), select") || event.ctrlKey || event.metaKey || event.altKey) return;
    const name = event.key.toLowerCase(), layer = LAYERS[Number(name) - 1];
    const tool = { t: "threed", l: "contours", c: "compare", p: "profile", g: "grid" }[name];
    if (layer) setLayer(layer);
    else if (tool) toggles[tool]();
    else if (name === "?") $("help").showModal();
    else if (name === "/") { event.preventDefault(); $("search").focus(); }
    else if (name === "x" && pressed("profile")) profile.across();
    else if (name === "escape") { if (pressed("profile")) stopProfile(); else if (!$("tile").hidden) panel.close(); else if (!$("readout").hidden) clearReadout(); else if (compare.on) setCompare(false); }
    else if (name === "enter" && profile.active) profile.finish();
    else if (name === "enter" && document.activeElement === map.getCanvas()) {
      const centre = map.getCenter(), hit = map.queryRenderedFeatures(map.project(centre), { layers: ["tile-hit"] })[0];
      pick(centre, hit?.properties.id);
    }
  });

  function apply(found) {
    if (found.compare || found.other) view.other = $("other").value = known(found.compare || found.other, state) ? found.compare || found.other : view.other;
    setLayer(LAYERS.includes(found.layer) ? found.layer : "relief");
    if (found.fit) setFit(true);
    if (found["3d"]) set3d(true, Math.max(1, Math.min(6, Number(found["3d"]) || 1)));
    if (found.contours) setContours(true);
    if (found.compare) setCompare(true);
    if (found.tile) openTile(found.tile);
    const line = lineFrom(found.profile);
    if (line) { $("profile").setAttribute("aria-pressed", true); profile.along(line, (found.also || "").split(",").filter((id) => known(id, state))); }
  }

  await map.once("load");
  apply(asked);
  addEventListener("hashchange", () => apply(readAddress()));
  await measure();
  document.body.dataset.ready = "true";
  window.orograph = { map, view, setLayer, set3d, setCompare, setContours, setFit, compare, profile, panel, pick };
  setInterval(() => document.visibilityState === "visible" && refresh(false).catch(() => {}), 30_000);
  if (!state.baseStyle) { showWater(map); showRoads(map); showPlaces(map).catch(() => {}); }
}

function known(id, state) { return (id === "previous" && state.hasPrevious) || state.sources.some((source) => source.id === id); }

function fillOthers(state, asked) {
  for (const source of state.sources) $("other").add(new Option(`${source.title}, as it came`, source.id));
  if (state.hasPrevious) $("other").add(new Option("the run before", "previous"));
  // The coarsest source shows best what was gained.
  const coarsest = [...state.sources].sort((a, b) => (b.resolution_m || 0) - (a.resolution_m || 0))[0];
  view.other = coarsest?.id || "";
  if (asked.other && known(asked.other, state)) view.other = asked.other;
  $("other").value = view.other;
  $("layers").querySelector("[data-layer=difference]").disabled = !view.other;
  $("compare").disabled = !view.other;
}

function opening(state) {
  if (new URLSearchParams(location.hash.slice(1)).has("map")) return {};
  if (!state.bounds) return { center: [10, 50], zoom: 3.6 };
  return { bounds: state.bounds, fitBoundsOptions: { padding: isPhone() ? { top: 130, bottom: 40, left: 20, right: 20 } : { top: 50, bottom: 50, left: 380, right: 60 } } };
}

function fold(open) {
  $("box").hidden = !open;
  $("more").setAttribute("aria-expanded", open);
}

function readoutOf(at, actions, state) {
  const close = Object.assign(text("button", "×", "close"), { onclick: actions.close });
  close.setAttribute("aria-label", "Close the height");
  if (at.fault) return [text("span", at.fault), close];
  if (at.height_m == null) return [text("span", at.tile ? "No height here" : "Nothing is published here"), close];
  const frame = state.frames?.[at.vertical_frame] || at.vertical_frame;
  const tile = Object.assign(text("button", `Tile ${at.tile} ›`, "link to-tile"), { onclick: actions.open });
  const sigma = at.uncertainty_m == null ? "" : `± ${at.uncertainty_m.toFixed(1)} m`;
  return [text("strong", `${at.height_m.toFixed(1)} m`), text("span", sigma), text("span", at.source?.title || "filled"), text("span", frame, "frame"), text("span", `${at.lat.toFixed(5)}° N ${at.lon.toFixed(5)}° E`, "where"), tile, close];
}

// Far away, ground looks flat: the wider the view and the lower the land, the more heights are overstated.
function overstated(zoom, top) { return Math.max(1, Math.min(4, Math.sqrt(2600 / top) * (1.2 + (12 - zoom) * 0.3))); }

start().catch((error) => { $("hint").textContent = `The map could not start: ${error.message}`; $("hint").hidden = false; });
