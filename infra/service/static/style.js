// What the map is made of: land, relief, tile grid, terrain. Everything comes from this service.
import { ROOT, headers } from "./api.js";

const SEA = "#d3dfe4", LAND = "#f3f0e8";
// Okabe and Ito's colours; every state also has its own line or hatching.
export const STATES = {
  published: { colour: "#123c47", text: "published" }, accepted: { colour: "#0072b2", text: "waiting" },
  running: { colour: "#0072b2", text: "being made" }, failed: { colour: "#d55e00", text: "failed" },
};

export function tileUrl(layer, version, source = "") {
  const path = source ? `raw/${source}/${layer}` : layer;
  return `${ROOT}/map/${path}/{z}/{x}/{y}.png?v=${version}`;
}

export function withKey(url) {
  return url.startsWith(`${ROOT}/`) ? { url, headers: headers() } : undefined;
}

function raster(layer, state, version, source) {
  return { type: "raster", tiles: [tileUrl(layer, version, source)], tileSize: state.tileSize, minzoom: state.minZoom, maxzoom: state.maxZoom, ...bounds(state) };
}

function bounds(state) { return state.bounds ? { bounds: state.bounds } : {}; }

export function styleOf(state, tiles, layer, version, source = "") {
  return {
    version: 8,
    sources: {
      land: { type: "geojson", data: `${ROOT}/static/land.json` },
      picture: raster(layer, state, version, source),
      terrain: { ...raster("terrain", state, version, ""), type: "raster-dem", encoding: "terrarium" },
      tiles: { type: "geojson", data: tiles, promoteId: "id" },
      line: { type: "geojson", data: { type: "FeatureCollection", features: [] } },
    },
    sky: { "sky-color": "#9cc3dc", "horizon-color": "#eaf1f2", "fog-color": "#e6eef0", "sky-horizon-blend": 0.6, "horizon-fog-blend": 0.7, "fog-ground-blend": 0.85 },
    layers: [
      { id: "sea", type: "background", paint: { "background-color": SEA } },
      { id: "land", type: "fill", source: "land", filter: ["==", ["get", "kind"], "land"], paint: { "fill-color": LAND } },
      { id: "coast", type: "line", source: "land", filter: ["==", ["get", "kind"], "land"], paint: { "line-color": "#a9bcc4", "line-width": 0.8 } },
      { id: "picture", type: "raster", source: "picture", paint: { "raster-fade-duration": 180 } },
      { id: "border", type: "line", source: "land", filter: ["==", ["get", "kind"], "border"], paint: { "line-color": "#7d7468", "line-width": 0.9, "line-dasharray": [4, 2.5], "line-opacity": 0.55 } },
      { id: "tile-fill", type: "fill", source: "tiles", filter: ["!=", ["get", "state"], "published"], paint: { "fill-color": byState("colour"), "fill-opacity": 0.14 } },
      { id: "tile-hatch", type: "fill", source: "tiles", filter: ["==", ["get", "state"], "failed"], paint: { "fill-pattern": "hatch" } },
      { id: "tile-quality", type: "fill", source: "tiles", maxzoom: 7.2, filter: ["==", ["get", "state"], "published"], paint: { "fill-color": qualityColour(), "fill-opacity": ["interpolate", ["linear"], ["zoom"], 6, 0.85, 7.2, 0] } },
      { id: "tile-hit", type: "fill", source: "tiles", paint: { "fill-opacity": 0 } },
      { id: "tile-halo", type: "line", source: "tiles", paint: { "line-color": "#fff", "line-width": 2.6, "line-opacity": 0.5 } },
      { id: "tile-line", type: "line", source: "tiles", paint: { "line-color": byState("colour"), "line-width": ["case", ["boolean", ["feature-state", "chosen"], false], 3.4, 1.1], "line-opacity": ["case", ["boolean", ["feature-state", "chosen"], false], 1, 0.75] } },
      { id: "tile-dash", type: "line", source: "tiles", filter: ["in", ["get", "state"], ["literal", ["accepted", "running"]]], paint: { "line-color": "#fff", "line-width": 1.6, "line-dasharray": [2, 2] } },
      { id: "line-halo", type: "line", source: "line", layout: { "line-cap": "round", "line-join": "round" }, paint: { "line-color": "#fff", "line-width": 6 } },
      { id: "line", type: "line", source: "line", layout: { "line-cap": "round", "line-join": "round" }, paint: { "line-color": "#b3400b", "line-width": 3 } },
      { id: "line-points", type: "circle", source: "line", filter: ["==", ["geometry-type"], "Point"], paint: { "circle-radius": 5, "circle-color": "#b3400b", "circle-stroke-color": "#fff", "circle-stroke-width": 2 } },
    ],
  };
}

export const GRID = ["tile-fill", "tile-hatch", "tile-quality", "tile-halo", "tile-line", "tile-dash"];

function byState(what) {
  return ["match", ["get", "state"], ...Object.entries(STATES).flatMap(([name, state]) => [name, state[what]]), "#5b6b70"];
}

function qualityColour() {
  return ["interpolate", ["linear"], ["coalesce", ["get", "uncertainty_m"], 2], 0, "#00224e", 1, "#666970", 4, "#b7a86d", 10, "#fee838"];
}

export function hatch() {
  const canvas = Object.assign(document.createElement("canvas"), { width: 16, height: 16 });
  const pen = canvas.getContext("2d");
  pen.strokeStyle = "rgba(213, 94, 0, .75)";
  pen.lineWidth = 3;
  for (const x of [-16, 0, 16]) { pen.beginPath(); pen.moveTo(x, 16); pen.lineTo(x + 16, 0); pen.stroke(); }
  return pen.getImageData(0, 0, 16, 16);
}
