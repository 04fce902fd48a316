// The state of the page in its address, so that a view can be sent to somebody. MapLibre itself keeps `map=` (zoom/lat/lon).
const NAMES = ["layer", "tile", "other", "compare", "profile", "also", "3d", "contours", "fit"];

function parts() { return new URLSearchParams(location.hash.replace(/^#/, "")); }

export function readAddress() {
  const found = parts();
  return Object.fromEntries(NAMES.map((name) => [name, found.get(name)]).filter(([, value]) => value !== null));
}

// Set or remove (null, false, "") values; slashes, commas and semicolons stay readable.
export function writeAddress(values) {
  const now = parts();
  for (const [name, value] of Object.entries(values)) {
    if (value === null || value === false || value === "" || value === undefined) now.delete(name); else now.set(name, value === true ? "1" : String(value));
  }
  const words = [...now].map(([name, value]) => `${name}=${encodeURIComponent(value).replace(/%2F/g, "/").replace(/%2C/g, ",").replace(/%3B/g, ";")}`).join("&");
  history.replaceState(history.state, "", `${location.pathname}${location.search}${words ? `#${words}` : ""}`);
}

export function lineFrom(words) {
  const points = (words || "").split(";").map((pair) => pair.split(",").map(Number));
  return points.length > 1 && points.every((at) => at.length === 2 && at.every(Number.isFinite)) ? points : null;
}

export function lineTo(points) { return points.map(([lon, lat]) => `${lon.toFixed(5)},${lat.toFixed(5)}`).join(";"); }
