// What the map is made of: land, relief, water, names, tile grid, terrain. Everything comes from this service.
import { ROOT, headers } from "./api.js";
import { PLACES, ROADS, ROADS_TO_ZOOM, WATER } from "./places.js";

const SEA = "#d3dfe4", LAND = "#f3f0e8", RIVER = "#7fa9bd";
// Okabe and Ito's colours; every state also has its own line or hatching.
export const STATES = {
  published: { colour: "#123c47", text: "published" }, accepted: { colour: "#0072b2", text: "waiting" },
  running: { colour: "#0072b2", text: "being made" }, failed: { colour: "#d55e00", text: "failed" },
};

// `other` is a source as it came, or `previous`; `span` the heights at the ends of the relief's tints.
export function tileUrl(layer, version, other = "", span = null) {
  const path = layer === "difference" ? `difference/${other}` : other ? `raw/${other}/${layer}` : layer;
  const form = ["terrain", "heights"].includes(layer) ? "png" : "webp";
  return `${ROOT}/map/${path}/{z}/{x}/{y}.${form}?v=${version}${layer === "relief" && span ? `&span=${span.join(",")}` : ""}`;
}

// Layers that a source or an earlier run has too; the others are compared with its relief.
export const comparable = (layer) => (["hillshade", "slope", "aspect"].includes(layer) ? layer : "relief");

export function withKey(url) {
  return url.startsWith(`${ROOT}/`) ? { url, headers: headers() } : undefined;
}

function raster(url, state) {
  return { type: "raster", tiles: [url], tileSize: state.tileSize, minzoom: state.minZoom, maxzoom: state.maxZoom, ...(state.bounds ? { bounds: state.bounds } : {}) };
}

const fade = (from, to, most = 1) => ["interpolate", ["linear"], ["zoom"], from, most, to, 0];

export function styleOf(state, tiles, url, version) {
  return {
    version: 8,
    sources: {
      land: { type: "geojson", data: `${ROOT}/static/land.json` }, water: WATER, roads: ROADS, places: PLACES,
      picture: raster(url, state),
      terrain: { ...raster(tileUrl("terrain", version), state), type: "raster-dem", encoding: "terrarium" },
      tiles: { type: "geojson", data: tiles, promoteId: "id" },
      line: { type: "geojson", data: { type: "FeatureCollection", features: [] } },
    },
    sky: { "sky-color": "#7fb2d6", "horizon-color": "#dbe9ef", "fog-color": "#dde8ec", "sky-horizon-blend": 0.7, "horizon-fog-blend": 0.6, "fog-ground-blend": 0.9, "atmosphere-blend": 0 },
    layers: [
      { id: "sea", type: "background", paint: { "background-color": SEA } },
      { id: "land", type: "fill", source: "land", filter: ["==", ["get", "kind"], "land"], paint: { "fill-color": LAND } },
      { id: "coast", type: "line", source: "land", filter: ["==", ["get", "kind"], "land"], paint: { "line-color": "#a9bcc4", "line-width": 0.8 } },
      { id: "lake-under", type: "fill", source: "water", filter: ["==", ["get", "kind"], "lake"], paint: { "fill-color": SEA } },
      { id: "picture", type: "raster", source: "picture", paint: { "raster-fade-duration": 180 } },
      // Generalised lines are drawn only where their error is not seen.
      { id: "lake", type: "fill", source: "water", filter: ["==", ["get", "kind"], "lake"], paint: { "fill-color": "#aacbd8", "fill-opacity": fade(9, 11.5, 0.85) } },
      { id: "river", type: "line", source: "water", filter: ["==", ["get", "kind"], "river"], maxzoom: 8.5, paint: { "line-color": RIVER, "line-width": 1, "line-opacity": fade(6.5, 8.5, 0.8) } },
      { id: "road", type: "line", source: "roads", maxzoom: ROADS_TO_ZOOM, layout: { "line-cap": "round", "line-join": "round" }, paint: { "line-color": "#c08a4e", "line-width": ["interpolate", ["linear"], ["zoom"], 4, 0.5, 7, 1.4], "line-opacity": ["interpolate", ["linear"], ["zoom"], 4, 0.3, 5.5, 0.6, 6.3, 0.6, ROADS_TO_ZOOM, 0] } },
      { id: "border", type: "line", source: "land", filter: ["==", ["get", "kind"], "border"], maxzoom: 8.5, paint: { "line-color": "#7d7468", "line-width": 0.9, "line-dasharray": [4, 2.5], "line-opacity": fade(6.8, 8.5, 0.55) } },
      { id: "tile-fill", type: "fill", source: "tiles", filter: ["!=", ["get", "state"], "published"], paint: { "fill-color": byState("colour"), "fill-opacity": 0.14 } },
      { id: "tile-hatch", type: "fill", source: "tiles", filter: ["==", ["get", "state"], "failed"], paint: { "fill-pattern": "hatch" } },
      { id: "tile-quality", type: "fill", source: "tiles", maxzoom: 7.2, filter: ["==", ["get", "state"], "published"], paint: { "fill-color": qualityColour(), "fill-opacity": ["interpolate", ["linear"], ["zoom"], 6, 0.85, 7.2, 0] } },
      { id: "tile-hit", type: "fill", source: "tiles", paint: { "fill-opacity": 0 } },
      { id: "tile-halo", type: "line", source: "tiles", paint: { "line-color": "#fff", "line-width": 2.6, "line-opacity": gridOpacity(0.5, 0) } },
      { id: "tile-line", type: "line", source: "tiles", paint: { "line-color": byState("colour"), "line-width": ["case", CHOSEN, 3, 1.1], "line-opacity": gridOpacity(0.75, 0.9) } },
      { id: "tile-dash", type: "line", source: "tiles", filter: ["in", ["get", "state"], ["literal", ["accepted", "running"]]], paint: { "line-color": "#fff", "line-width": 1.6, "line-dasharray": [2, 2] } },
      { id: "line-halo", type: "line", source: "line", layout: { "line-cap": "round", "line-join": "round" }, paint: { "line-color": "#fff", "line-width": 6 } },
      { id: "line", type: "line", source: "line", layout: { "line-cap": "round", "line-join": "round" }, paint: { "line-color": "#b3400b", "line-width": 3 } },
      { id: "line-points", type: "circle", source: "line", filter: ["==", ["geometry-type"], "Point"], paint: { "circle-radius": 5, "circle-color": "#b3400b", "circle-stroke-color": "#fff", "circle-stroke-width": 2 } },
      { id: "place", type: "symbol", source: "places", filter: [">", ["get", "people"], ["step", ["zoom"], 1_000_000, 5, 400_000, 6, 200_000, 7, 90_000, 8, 60_000, 9, 20_000, 10, 5_000]],
        layout: { "text-field": ["get", "name"], "text-font": ["Noto Sans Regular"], "text-size": ["interpolate", ["linear"], ["get", "people"], 5_000, 11, 100_000, 13, 1_000_000, 16], "symbol-sort-key": ["-", 0, ["get", "people"]], "text-padding": 6, "text-max-width": 8 },
        paint: { "text-color": "#1b2b31", "text-halo-color": "rgba(255,255,255,.88)", "text-halo-width": 1.5 } },
    ],
  };
}

const CHOSEN = ["boolean", ["feature-state", "chosen"], false];
export const GRID = ["tile-fill", "tile-hatch", "tile-quality", "tile-halo", "tile-line", "tile-dash"];
export const NAMES = ["place"];

// A seamless product shows no seams: lines of published tiles fade as the view comes nearer, the chosen tile's stays.
function gridOpacity(most, chosen) {
  const published = ["==", ["get", "state"], "published"];
  return ["interpolate", ["linear"], ["zoom"], 7.5, ["case", CHOSEN, Math.max(chosen, most), most], 9.5, ["case", CHOSEN, chosen, published, 0, most]];
}

function byState(what) {
  return ["match", ["get", "state"], ...Object.entries(STATES).flatMap(([name, state]) => [name, state[what]]), "#5b6b70"];
}

function qualityColour() {
  return ["interpolate", ["linear"], ["coalesce", ["get", "uncertainty_m"], 2], 0, "#00224e", 1, "#666970", 4, "#b7a86d", 10, "#fee838"];
}

// The layers of a MapLibre style of the user's under the relief, its names above it.
export async function withBase(style, href) {
  const base = await (await fetch(href)).json();
  const absolute = (url) => (typeof url === "string" && !/^[a-z]+:/i.test(url) ? new URL(url, new URL(href, document.baseURI)).href.replace(/%7B/g, "{").replace(/%7D/g, "}") : url);
  const renamed = (id) => `base-${id}`;
  const sources = Object.fromEntries(Object.entries(base.sources).map(([id, one]) => [renamed(id), { ...one, ...(one.url ? { url: absolute(one.url) } : {}), ...(one.tiles ? { tiles: one.tiles.map(absolute) } : {}), ...(typeof one.data === "string" ? { data: absolute(one.data) } : {}) }]));
  const layers = base.layers.map((layer) => ({ ...layer, id: renamed(layer.id), ...(layer.source ? { source: renamed(layer.source) } : {}) }));
  const own = style.layers.filter((layer) => !["land", "coast", "lake-under", "lake", "river", "road", "border", "place", "sea"].includes(layer.id));
  return {
    ...style, sources: { ...style.sources, ...sources }, ...(base.glyphs ? { glyphs: absolute(base.glyphs) } : {}), ...(base.sprite ? { sprite: absolute(base.sprite) } : {}),
    layers: [...layers.filter((one) => one.type !== "symbol"), ...own, ...layers.filter((one) => one.type === "symbol")],
  };
}

export function hatch() {
  const canvas = Object.assign(document.createElement("canvas"), { width: 16, height: 16 });
  const pen = canvas.getContext("2d");
  pen.strokeStyle = "rgba(213, 94, 0, .75)";
  pen.lineWidth = 3;
  for (const x of [-16, 0, 16]) { pen.beginPath(); pen.moveTo(x, 16); pen.lineTo(x + 16, 0); pen.stroke(); }
  return pen.getImageData(0, 0, 16, 16);
}
