// Heights along a line: drawn on the map by clicks or taps, or straight across the view from the keyboard.
import { getJson } from "./api.js";
import { lineTo } from "./address.js";
import { LINES, csvOf, drawn, geojsonOf, pngOf } from "./chart.js";
import { isPhone, saved } from "./dom.js";

export class Profile {
  // hooks: hint(words), probe(lngLat), closed(), changed()
  constructor(map, element, state, hooks) {
    Object.assign(this, { map, element, state, hooks, points: [], also: [], active: false });
    new ResizeObserver(() => this.data && this.paint()).observe(element);
  }

  start() {
    this.active = true;
    this.points = [];
    this.draw();
    this.hooks.hint(matchMedia("(pointer: coarse)").matches ? "Tap along a line; tap the last point again to end it." : "Click along a line, double-click or press Enter to end it. Press X for a line across the view.");
  }

  stop() {
    this.active = false;
    this.points = [];
    this.data = null;
    this.draw();
    this.element.hidden = true;
    document.body.classList.remove("with-chart");
    this.hooks.probe(null);
    this.hooks.hint("");
    this.hooks.changed();
  }

  add(lngLat) {
    const last = this.points.at(-1), at = this.map.project(lngLat);
    // A second tap on the last point ends the line, as there is no double click on a phone.
    if (last && at.dist(this.map.project(last)) < 14) return this.finish();
    this.points.push([lngLat.lng, lngLat.lat]);
    this.draw();
  }

  across() {
    const box = this.map.getContainer(), y = box.clientHeight / 2, [from, to] = isPhone() ? [0.08, 0.92] : [0.3, 0.74];
    this.points = [from, to].map((part) => this.map.unproject([box.clientWidth * part, y])).map((at) => [at.lng, at.lat]);
    this.draw();
    return this.finish();
  }

  // A line from the address.
  along(points, also) {
    this.points = points;
    this.also = also;
    this.draw();
    return this.finish();
  }

  async finish() {
    this.active = false;
    this.hooks.hint("");
    if (this.points.length < 2) return this.hooks.closed();
    const line = this.points.map(([lon, lat]) => `${lon.toFixed(6)},${lat.toFixed(6)}`).join(";");
    try {
      this.data = await getJson(`/map/profile?samples=400&line=${line}${this.also.map((id) => `&also=${encodeURIComponent(id)}`).join("")}`);
      this.show();
      this.hooks.changed();
    } catch (error) {
      this.hooks.hint(error.message);
    }
  }

  get line() { return this.data && this.points.length > 1 ? lineTo(this.points) : null; }

  draw() {
    const features = this.points.map((at) => ({ type: "Feature", properties: {}, geometry: { type: "Point", coordinates: at } }));
    if (this.points.length > 1) features.push({ type: "Feature", properties: {}, geometry: { type: "LineString", coordinates: this.points } });
    this.map.getSource("line").setData({ type: "FeatureCollection", features });
  }

  show() {
    const { data } = this, heights = data.height_m.filter((h) => h != null);
    this.element.hidden = false;
    document.body.classList.add("with-chart");
    if (!heights.length) {
      this.data = null;
      this.element.innerHTML = `<header><h2>Profile</h2><span>No height along this line.</span><button class="close" aria-label="Close the profile">×</button></header>`;
      this.element.querySelector(".close").onclick = () => this.hooks.closed();
      return;
    }
    let climb = 0;
    data.height_m.forEach((h, i) => { const before = data.height_m[i - 1]; if (h != null && before != null && h > before) climb += h - before; });
    const figures = `<span>${(data.distance_m.at(-1) / 1000).toFixed(1)} km</span><span>${Math.min(...heights).toFixed(0)} to ${Math.max(...heights).toFixed(0)} m</span><span>climb ${climb.toFixed(0)} m</span>`;
    this.element.innerHTML = `<header><h2>Profile</h2>${figures}<span id="at"></span>
      <span class="save">Save <button class="link" data-save="csv">CSV</button><button class="link" data-save="geojson">GeoJSON</button><button class="link" data-save="png">PNG</button></span><button class="close" aria-label="Close the profile">×</button></header>
      <div id="products">${this.products()}</div><div id="plot" role="slider" tabindex="0" aria-label="Place along the profile" aria-valuemin="0" aria-valuemax="${data.distance_m.length - 1}" aria-valuenow="0"></div>`;
    this.element.querySelector(".close").onclick = () => this.hooks.closed();
    for (const button of this.element.querySelectorAll("[data-save]")) button.onclick = () => this.save(button.dataset.save);
    for (const box of this.element.querySelectorAll("#products input")) box.onchange = () => this.compare(box.value, box.checked);
    this.paint();
    this.wire();
  }

  // Other products along the same line; a source as it came is in its own vertical frame.
  products() {
    const others = [...(this.state.hasPrevious ? [{ id: "previous", title: "Run before" }] : []), ...this.state.sources.map(({ id, title, vertical_frame: frame }) => ({ id, title: `${title} as it came${frame ? ` (${frame})` : ""}` }))];
    return others.map(({ id, title }) => {
      const at = this.also.indexOf(id), style = at >= 0 ? ` style="--line:${LINES[at % LINES.length][0]}"` : "";
      return `<label${style}><input type="checkbox" value="${id}"${at >= 0 ? " checked" : ""}>${title.replace(/[&<>"]/g, "")}</label>`;
    }).join("");
  }

  compare(id, on) {
    this.also = on ? [...this.also, id].slice(-4) : this.also.filter((one) => one !== id);
    return this.finish();
  }

  paint() {
    const plot = this.element.querySelector("#plot");
    if (!plot?.clientWidth) return;
    this.size = [plot.clientWidth, plot.clientHeight];
    const { svg, place } = drawn(this.data, this.state, ...this.size);
    this.svg = svg;
    this.place = place;
    plot.innerHTML = svg;
  }

  wire() {
    const plot = this.element.querySelector("#plot"), { data } = this;
    let index = 0;
    const go = (wanted) => {
      index = Math.max(0, Math.min(data.distance_m.length - 1, wanted));
      const words = this.words(index);
      this.element.querySelector("#at").textContent = words;
      plot.setAttribute("aria-valuenow", index);
      plot.setAttribute("aria-valuetext", words);
      const needle = plot.querySelector("#needle");
      needle.setAttribute("visibility", "visible");
      needle.setAttribute("transform", `translate(${this.place(index)} 0)`);
      this.hooks.probe([data.lon[index], data.lat[index]]);
    };
    plot.onpointermove = (event) => {
      const from = this.place(0), to = this.place(data.distance_m.length - 1);
      go(Math.round(((event.clientX - plot.getBoundingClientRect().left - from) / (to - from)) * (data.distance_m.length - 1)));
    };
    plot.onpointerdown = plot.onpointermove;
    plot.onkeydown = (event) => { const step = { ArrowLeft: -4, ArrowRight: 4, Home: -1e6, End: 1e6 }[event.key]; if (step) { event.preventDefault(); event.stopPropagation(); go(index + step); } };
  }

  words(i) {
    const { data } = this, h = data.height_m[i], sigma = data.uncertainty_m[i];
    const name = this.state.sources.find((s) => s.id === data.source[i])?.title || "no source";
    const others = Object.values(data.also_m || {}).map((heights) => (heights[i] == null ? "void" : `${heights[i].toFixed(1)} m`));
    return `${(data.distance_m[i] / 1000).toFixed(2)} km: ${h == null ? "void" : `${h.toFixed(1)} m${sigma != null ? ` ± ${sigma.toFixed(1)} m` : ""} · ${name}`}${others.length ? ` · others ${others.join(", ")}` : ""}`;
  }

  async save(form) {
    if (form === "csv") saved("profile.csv", csvOf(this.data), "text/csv");
    else if (form === "geojson") saved("profile.geojson", geojsonOf(this.data, this.points), "application/geo+json");
    else saved("profile.png", await pngOf(this.svg, ...this.size), "image/png");
  }
}
