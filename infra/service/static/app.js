// The page: one map, its tools, and what they do.
import * as maplibre from "./vendor/maplibre-gl.mjs";
import { getJson } from "./api.js";
import { Compare } from "./compare.js";
import { TilePanel } from "./panel.js";
import { Profile } from "./profile.js";
import { GRID, hatch, styleOf, tileUrl, withKey } from "./style.js";

const $ = (id) => document.getElementById(id);
const view = { layer: "relief", version: Date.now().toString(36), grid: true, chosen: null };

async function start() {
  const state = await getJson("/map/state");
  let tiles = await getJson("/map/tiles");
  $("summary").textContent = state.tiles ? `${state.tiles} tile${state.tiles > 1 ? "s" : ""} of 50 km published` : "Nothing is published yet";
  const phone = innerWidth <= 760;
  const map = new maplibre.Map({
    container: "map", style: styleOf(state, tiles, view.layer, view.version), transformRequest: withKey, maxPitch: 75, attributionControl: false,
    ...(state.bounds ? { bounds: state.bounds, fitBoundsOptions: { padding: phone ? { top: 220, bottom: 40, left: 20, right: 20 } : { top: 50, bottom: 50, left: 350, right: 60 } } } : { center: [10, 50], zoom: 3.6 }),
  });
  map.addImage("hatch", hatch());
  map.addControl(new maplibre.NavigationControl({ visualizePitch: true }), "top-right");
  map.addControl(new maplibre.ScaleControl({}), "bottom-left");
  map.addControl(new maplibre.AttributionControl({ compact: true, customAttribution: [...new Set(state.sources.map((s) => s.attribution).filter(Boolean)), "Natural Earth"].join(" · ") }), "bottom-left");
  const probe = new maplibre.Marker({ element: Object.assign(document.createElement("div"), { className: "probe" }) });
  const setProbe = (at) => (at ? probe.setLngLat(at).addTo(map) : probe.remove());
  const hint = (words) => { $("hint").textContent = words; $("hint").hidden = !words; };

  const panel = new TilePanel($("tile"), state, { closed: () => choose(null), changed: (_id, status) => refresh(status.status === "successful") });
  const profile = new Profile(map, $("chart"), state, { hint, probe: setProbe, closed: () => stopProfile() });
  const compare = new Compare(maplibre, map, state, { raw: $("raw"), divider: $("divider"), name: $("raw-name") });

  for (const source of state.sources) $("raw-source").add(new Option(source.title, source.id));
  // The coarsest source shows best what was gained.
  const coarsest = [...state.sources].sort((a, b) => (b.resolution_m || 0) - (a.resolution_m || 0))[0];
  if (coarsest) $("raw-source").value = coarsest.id;

  function setLayer(layer) {
    view.layer = layer;
    for (const button of $("layers").children) button.setAttribute("aria-checked", button.dataset.layer === layer), (button.tabIndex = button.dataset.layer === layer ? 0 : -1);
    map.getSource("picture").setTiles([tileUrl(layer, view.version)]);
    legend(state, layer);
    if (compare.on) compare.open($("raw-source").value, layer, view.version, tiles);
  }

  function set3d(on) {
    $("threed").setAttribute("aria-pressed", on);
    map.setTerrain(on ? { source: "terrain", exaggeration: overstated(map.getZoom(), state.legend.height.at(-1).value) } : null);
    compare.terrain(map.getTerrain());
    map.easeTo({ pitch: on ? 62 : 0, bearing: on ? -18 : 0, zoom: map.getZoom() + (on ? 0.5 : -0.5), duration: still() ? 0 : 900 });
  }

  function setCompare(on) {
    $("compare").setAttribute("aria-pressed", on);
    $("raw-choice").hidden = !on;
    if (on) compare.open($("raw-source").value, view.layer, view.version, tiles); else compare.close();
  }

  function setGrid(on) {
    view.grid = on;
    $("grid").setAttribute("aria-pressed", on);
    GRID.forEach((id) => map.setLayoutProperty(id, "visibility", on ? "visible" : "none"));
  }

  function startProfile() { $("profile").setAttribute("aria-pressed", true); map.getCanvas().style.cursor = "crosshair"; map.doubleClickZoom.disable(); profile.start(); }
  function stopProfile() { $("profile").setAttribute("aria-pressed", false); map.getCanvas().style.cursor = ""; map.doubleClickZoom.enable(); profile.stop(); }

  function choose(id) {
    if (view.chosen) map.setFeatureState({ source: "tiles", id: view.chosen }, { chosen: false });
    view.chosen = id;
    if (id) map.setFeatureState({ source: "tiles", id }, { chosen: true });
    if (!id) { $("readout").hidden = true; setProbe(null); }
  }

  async function read(lngLat) {
    setProbe(lngLat);
    const at = await getJson(`/map/point?lon=${lngLat.lng.toFixed(7)}&lat=${lngLat.lat.toFixed(7)}`).catch(() => null);
    if (!at) return;
    const feature = tiles.features.find((one) => one.id === at.tile);
    $("readout").hidden = false;
    $("readout").replaceChildren(...(at.height_m == null
      ? [text("span", at.tile ? "No height here" : "Nothing is published here")]
      : [text("strong", `${at.height_m.toFixed(1)} m`), text("span", at.uncertainty_m == null ? "" : `± ${at.uncertainty_m.toFixed(1)} m`), text("span", at.source?.title || "filled"), text("span", `${at.lat.toFixed(5)}° N ${at.lon.toFixed(5)}° E`, "where")]));
    return feature;
  }

  async function pick(lngLat, id) {
    const feature = tiles.features.find((one) => one.id === id);
    await read(lngLat);
    if (feature && id !== panel.id) { choose(id); panel.open(feature.properties); }
  }

  async function refresh(remade) {
    tiles = await getJson("/map/tiles");
    map.getSource("tiles").setData(tiles);
    if (view.chosen) map.setFeatureState({ source: "tiles", id: view.chosen }, { chosen: true });
    if (!remade) return;
    view.version = Date.now().toString(36);
    map.getSource("picture").setTiles([tileUrl(view.layer, view.version)]);
    map.getSource("terrain").setTiles([tileUrl("terrain", view.version)]);
    const chosen = tiles.features.find((one) => one.id === view.chosen);
    if (chosen) panel.open(chosen.properties);
  }

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

  $("layers").onclick = (event) => event.target.dataset.layer && setLayer(event.target.dataset.layer);
  $("layers").onkeydown = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const all = [...$("layers").children], next = all[(all.findIndex((b) => b.dataset.layer === view.layer) + step + all.length) % all.length];
    setLayer(next.dataset.layer);
    next.focus();
  };
  const pressed = (id) => $(id).getAttribute("aria-pressed") === "true";
  const toggles = { threed: () => set3d(!pressed("threed")), compare: () => setCompare(!pressed("compare")), profile: () => (pressed("profile") ? stopProfile() : startProfile()), grid: () => setGrid(!pressed("grid")) };
  for (const [id, action] of Object.entries(toggles)) $(id).onclick = action;
  $("raw-source").onchange = () => compare.open($("raw-source").value, view.layer, view.version, tiles);

  document.addEventListener("keydown", (event) => {
    if (event.target.matches("input, select") || event.ctrlKey || event.metaKey || event.altKey) return;
    const name = event.key.toLowerCase();
    const layer = ["relief", "uncertainty", "source", "hillshade"][Number(name) - 1];
    const tool = { t: "threed", c: "compare", p: "profile", g: "grid" }[name];
    if (layer) setLayer(layer);
    else if (tool) toggles[tool]();
    else if (name === "?") $("help").showModal();
    else if (name === "x" && pressed("profile")) profile.across();
    else if (name === "escape") { if (pressed("profile")) stopProfile(); else if (!$("tile").hidden) panel.close(); else if (compare.on) setCompare(false); }
    else if (name === "enter" && profile.active) profile.finish();
    else if (name === "enter" && document.activeElement === map.getCanvas()) {
      const centre = map.getCenter(), hit = map.queryRenderedFeatures(map.project(centre), { layers: ["tile-hit"] })[0];
      pick(centre, hit?.properties.id);
    }
  });

  await map.once("load");
  setLayer(view.layer);
  document.body.dataset.ready = "true";
  window.orograph = { map, setLayer, set3d, setCompare, compare, profile, panel, pick };
  setInterval(() => document.visibilityState === "visible" && refresh(false).catch(() => {}), 30_000);
}

function legend(state, layer) {
  const box = $("legend");
  if (layer === "source") {
    box.innerHTML = "";
    const list = document.createElement("ul");
    list.className = "keys";
    for (const source of state.sources) { const row = document.createElement("li"), name = text("span", source.title); name.prepend(Object.assign(document.createElement("i"), { style: `background:${source.colour}` })); row.append(name, text("span", `${source.resolution_m} m ${source.surface || ""}`)); list.append(row); }
    box.append(list);
    return;
  }
  const stops = layer === "uncertainty" ? state.legend.uncertainty : layer === "relief" ? state.legend.height : null;
  if (!stops) { box.replaceChildren(text("span", "Light from four sides, strongest from the north-west", "muted")); return; }
  const colours = stops.map((stop, i) => `${stop.colour} ${(i / (stops.length - 1)) * 100}%`).join(",");
  box.replaceChildren(Object.assign(document.createElement("div"), { className: "ramp", style: `background:linear-gradient(90deg,${colours})` }), text("div", "", "ticks"));
  // Every tick stands under its own colour; those too close to the one before are left out.
  let last = -1;
  stops.forEach((stop, i) => {
    const at = i / (stops.length - 1);
    if (stop.value < 0 || (at - last < 0.14 && i !== stops.length - 1) || (at > 0.8 && at < 1)) return;
    last = at;
    const words = i === stops.length - 1 ? `${stop.value} m${layer === "uncertainty" ? " (1 σ)" : ""}` : stop.value;
    box.lastChild.append(Object.assign(text("span", words), { style: at === 1 ? "right:0" : `left:${at * 100}%${at ? ";transform:translateX(-50%)" : ""}` }));
  });
}

function text(tag, words, className = "") { return Object.assign(document.createElement(tag), { textContent: words, className }); }
// Far away, ground looks flat: the wider the view and the lower the land, the more heights are overstated.
function overstated(zoom, top) { return Math.max(1, Math.min(4, Math.sqrt(2600 / top) * (1.2 + (12 - zoom) * 0.3))); }
function still() { return matchMedia("(prefers-reduced-motion: reduce)").matches; }

start().catch((error) => { $("hint").textContent = `The map could not start: ${error.message}`; $("hint").hidden = false; });
