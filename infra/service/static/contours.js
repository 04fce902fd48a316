// Contour lines, drawn in the browser from tiles of heights. The library is loaded at first use.
import { headers, key } from "./api.js";
import { tileUrl } from "./style.js";

// Metres between lines and between the stronger ones, by zoom.
const THRESHOLDS = { 6: [500, 1000], 8: [200, 1000], 10: [100, 500], 11: [50, 200], 12: [20, 100], 13: [10, 50], 15: [5, 20] };
export const CONTOURS = ["contour", "contour-name"];

async function fetched(url, controller) {
  const response = await fetch(url, { signal: controller.signal, headers: headers() });
  if (!response.ok || response.status === 204) throw new Error(`no terrain: HTTP ${response.status}`);
  return { data: await response.blob(), expires: undefined, cacheControl: undefined };
}

export async function addContours(maplibre, map, state, version) {
  if (map.getSource("contours")) return;
  const { default: contour } = await import("./vendor/maplibre-contour.mjs");
  // A worker has no key of this tab; with a key lines are made in the page itself.
  const dem = new contour.DemSource({ url: tileUrl("heights", version), encoding: "terrarium", maxzoom: state.maxZoom, worker: !key.value });
  if (key.value) dem.manager.getTile = fetched;
  maplibre.addProtocol(dem.contourProtocolId, dem.contourProtocolV4);
  map.addSource("contours", { type: "vector", tiles: [dem.contourProtocolUrl({ thresholds: THRESHOLDS, overzoom: 1, contourLayer: "contours", elevationKey: "ele", levelKey: "level" })], minzoom: state.minZoom, maxzoom: 16, ...(state.bounds ? { bounds: state.bounds } : {}) });
  map.addLayer({ id: "contour", type: "line", source: "contours", "source-layer": "contours", layout: { "line-join": "round" }, paint: { "line-color": "#5a3a22", "line-opacity": ["match", ["get", "level"], 1, 0.75, 0.42], "line-width": ["match", ["get", "level"], 1, 1.3, 0.6] } }, "tile-fill");
  map.addLayer({ id: "contour-name", type: "symbol", source: "contours", "source-layer": "contours", filter: [">", ["get", "level"], 0], layout: { "symbol-placement": "line", "text-field": ["concat", ["number-format", ["get", "ele"], {}], " m"], "text-font": ["Noto Sans Regular"], "text-size": 11 }, paint: { "text-color": "#4a2e19", "text-halo-color": "rgba(255,255,255,.8)", "text-halo-width": 1.3 } });
}
