// Place names and the search box, from the bundled GeoNames extract: no other host is asked.
import { ROOT, getJson } from "./api.js";
import { text } from "./dom.js";

const plain = (words) => words.normalize("NFD").replace(/[\u0300-\u036f]/g, "").toLowerCase();
const COORDINATES = /^\s*(-?\d{1,2}(?:\.\d+)?)\s*[,; ]\s*(-?\d{1,3}(?:\.\d+)?)\s*$/;
const TILE = /^\s*(E\d{4}N\d{4})\s*$/i;

export function placeFeatures({ places }) {
  return { type: "FeatureCollection", features: places.map(([name, lon, lat, people]) => ({ type: "Feature", properties: { name, people }, geometry: { type: "Point", coordinates: [lon, lat] } })) };
}

export async function showPlaces(map) { map.getSource("places")?.setData(placeFeatures(await getJson("/static/cities.json"))); }

export class Search {
  // hooks: go(lon, lat, zoom), tile(id) -> whether there is one, all() when every place is loaded
  constructor(input, list, hooks) {
    Object.assign(this, { input, list, hooks, places: null, found: [], at: -1 });
    input.onfocus = () => this.load();
    input.oninput = () => this.find();
    input.onkeydown = (event) => this.key(event);
    input.onblur = () => setTimeout(() => this.close(), 150);
  }

  async load() {
    this.loading ??= getJson("/static/places.json").then((document) => {
      this.places = document.places.map((row) => ({ row, words: plain(`${row[0]}|${row[5] || ""}`) }));
      this.hooks.all(document);
      this.find();
    }).catch(() => { this.loading = null; });
    return this.loading;
  }

  find() {
    const words = this.input.value, query = plain(words.trim());
    const at = words.match(COORDINATES), tile = words.match(TILE);
    this.at = -1;
    if (at) this.found = [{ title: `${at[1]}° N, ${at[2]}° E`, note: "coordinates", go: () => this.hooks.go(Number(at[2]), Number(at[1]), 12) }];
    else if (tile) this.found = [{ title: tile[1].toUpperCase(), note: "tile", go: () => this.hooks.tile(tile[1].toUpperCase()) }];
    else if (query.length < 2 || !this.places) this.found = [];
    else this.found = this.matches(query).map(({ row }) => ({ title: row[0], note: `${row[4]} · ${row[3].toLocaleString("en")}`, go: () => this.hooks.go(row[1], row[2], row[3] > 400_000 ? 10 : row[3] > 50_000 ? 11 : 12) }));
    this.show();
  }

  // Places are sorted by size; names that begin with the query come before those that contain it.
  matches(query) {
    const first = [], rest = [];
    for (const place of this.places) {
      const where = place.words.indexOf(query);
      if (where < 0) continue;
      (where === 0 || place.words[where - 1] === "|" ? first : rest).push(place);
      if (first.length >= 8) break;
    }
    return [...first, ...rest].slice(0, 8);
  }

  show() {
    const open = this.found.length > 0;
    this.list.hidden = !open;
    this.input.setAttribute("aria-expanded", open);
    this.list.replaceChildren(...this.found.map((one, i) => {
      const row = text("li", one.title);
      Object.assign(row, { role: "option", id: `place-${i}`, onpointerdown: (event) => { event.preventDefault(); this.choose(i); } });
      row.setAttribute("aria-selected", i === this.at);
      row.append(text("span", one.note));
      return row;
    }));
    if (this.at >= 0) this.input.setAttribute("aria-activedescendant", `place-${this.at}`); else this.input.removeAttribute("aria-activedescendant");
  }

  key(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && this.found.length) { event.preventDefault(); this.at = (this.at + step + this.found.length) % this.found.length; this.show(); }
    else if (event.key === "Enter" && this.found.length) this.choose(Math.max(0, this.at));
    else if (event.key === "Escape") { this.close(); this.input.blur(); }
    event.stopPropagation();
  }

  choose(index) {
    const one = this.found[index];
    this.input.value = one.title;
    this.close();
    one.go();
  }

  close() { this.found = []; this.show(); }
}

// Main roads are straight between their junctions: they are drawn, and loaded, only where that is not seen.
export const ROADS_TO_ZOOM = 7.3;
const empty = () => ({ type: "geojson", data: { type: "FeatureCollection", features: [] } });

export function roadLines({ scale, lines }) {
  const line = (steps) => { const at = []; for (let i = 0, x = 0, y = 0; i < steps.length; i += 2) { x += steps[i]; y += steps[i + 1]; at.push([x / scale, y / scale]); } return at; };
  return { type: "Feature", properties: {}, geometry: { type: "MultiLineString", coordinates: lines.map(line) } };
}

export function showRoads(map) {
  const look = () => {
    if (map.getZoom() >= ROADS_TO_ZOOM) return;
    map.off("moveend", look);
    getJson("/static/roads.json").then((document) => map.getSource("roads")?.setData(roadLines(document))).catch(() => map.on("moveend", look));
  };
  map.on("moveend", look);
  look();
}

export const ROADS = empty();
export const PLACES = empty();
export const WATER = empty();
export async function showWater(map) { map.getSource("water")?.setData(`${ROOT}/static/water.json`); }
