// The legend of the layer that is seen; that of heights shows the part of the ramp that the view uses.
import { text } from "./dom.js";

const COMPASS = { 0: "N", 90: "E", 180: "S", 270: "W" };

export function legend(box, state, view, range) {
  if (view.layer === "source") return sources(box, state);
  if (view.layer === "aspect") return aspect(box, state.legend.aspect);
  if (view.layer === "hillshade") return box.replaceChildren(text("span", "Light from four sides, strongest from the north-west", "muted"));
  if (view.layer === "relief") return ramp(box, heights(state.legend.height, view.fit ? range : null, range), "Height, m");
  const words = { uncertainty: "Standard deviation (1 σ), m", slope: "Slope, degrees", difference: "Product minus the other, m" }[view.layer];
  return ramp(box, even(state.legend[view.layer]), words);
}

// Stops with their place along the ramp, evenly: these scales are not linear.
function even(stops) { return stops.map((stop, i) => ({ ...stop, at: i / (stops.length - 1) })); }

// Linear in metres between the least and the greatest height in view.
function heights(stops, spread, range) {
  if (spread?.min_m != null) {
    const land = stops.filter((stop) => stop.value >= 0), [low, high] = niceSpan(spread);
    stops = land.map((stop, i) => ({ ...stop, value: low + (i / (land.length - 1)) * (high - low) }));
  }
  const low = range?.min_m ?? stops[0].value, high = Math.max(low + 1, range?.max_m ?? stops.at(-1).value);
  const marks = [low, ...stops.map((stop) => stop.value).filter((value) => value > low && value < high), high];
  return Object.assign(marks.map((value) => ({ value, colour: colourAt(stops, value), at: (value - low) / (high - low) })), { ticks: ticks(low, high) });
}

// Whole steps, so that moving the map a little asks for the same tiles again.
export function niceSpan({ min_m: min, max_m: max }) {
  const step = [1, 2, 5, 10, 20, 50, 100, 200, 500].find((one) => (max - min) / one <= 12) || 1000;
  const low = Math.floor(min / step) * step;
  return [low, Math.max(low + step, Math.ceil(max / step) * step)];
}

function ticks(low, high) {
  const step = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000].find((one) => (high - low) / one <= 5) || 5000;
  const found = [];
  for (let value = Math.ceil(low / step) * step; value <= high; value += step) found.push({ value, at: (value - low) / (high - low) });
  return found;
}

function colourAt(stops, value) {
  const next = stops.findIndex((stop) => stop.value >= value);
  if (next <= 0) return (next === 0 ? stops[0] : stops.at(-1)).colour;
  const [a, b] = [stops[next - 1], stops[next]], part = (value - a.value) / (b.value - a.value);
  const channel = (colour, i) => parseInt(colour.slice(1 + 2 * i, 3 + 2 * i), 16);
  return `rgb(${[0, 1, 2].map((i) => Math.round(channel(a.colour, i) * (1 - part) + channel(b.colour, i) * part)).join(",")})`;
}

function ramp(box, stops, words) {
  const colours = stops.map((stop) => `${stop.colour} ${(stop.at * 100).toFixed(1)}%`).join(",");
  const scale = text("div", "", "ticks");
  let last = -1;
  for (const tick of stops.ticks || stops) {
    if (tick.at - last < 0.11 && last >= 0) continue;
    last = tick.at;
    const label = String(Math.round(tick.value * 100) / 100).replace("-", "−");
    scale.append(Object.assign(text("span", label), { style: tick.at > 0.94 ? "right:0" : `left:${tick.at * 100}%${tick.at > 0.03 ? ";transform:translateX(-50%)" : ""}` }));
  }
  box.replaceChildren(text("figcaption", words), Object.assign(document.createElement("div"), { className: "ramp", style: `background:linear-gradient(90deg,${colours})` }), scale);
}

function aspect(box, stops) {
  const list = text("ul", "", "keys compass");
  for (const stop of stops.slice(0, 4)) list.append(key(stop.colour, COMPASS[stop.value]));
  box.replaceChildren(text("figcaption", "Direction that slopes face"), list);
}

function sources(box, state) {
  const list = text("ul", "", "keys");
  for (const source of state.sources) { const row = key(source.colour, source.title); row.append(text("span", `${source.resolution_m} m ${source.surface || ""}`)); list.append(row); }
  box.replaceChildren(list);
}

function key(colour, words) {
  const row = document.createElement("li"), name = text("span", words);
  name.prepend(Object.assign(document.createElement("i"), { style: `background:${colour}` }));
  row.append(name);
  return row;
}
