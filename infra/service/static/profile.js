// Heights along a line: drawn on the map by clicks, or straight across the view from the keyboard.
import { getJson } from "./api.js";

const WIDTH = 1000, HEIGHT = 150, TOP = 8, FLOOR = 118;

export class Profile {
  constructor(map, element, state, hooks) {
    Object.assign(this, { map, element, state, hooks, points: [], active: false });
  }

  start() {
    this.active = true;
    this.points = [];
    this.draw();
    this.hooks.hint("Click along a line, double-click or press Enter to end it. Press X for a line across the view.");
  }

  stop() {
    this.active = false;
    this.points = [];
    this.draw();
    this.element.hidden = true;
    document.body.classList.remove("with-chart");
    this.hooks.probe(null);
    this.hooks.hint("");
  }

  add(lngLat) { this.points.push([lngLat.lng, lngLat.lat]); this.draw(); }

  across() {
    const box = this.map.getContainer(), y = box.clientHeight / 2;
    this.points = [0.3, 0.74].map((part) => this.map.unproject([box.clientWidth * part, y])).map((at) => [at.lng, at.lat]);
    this.draw();
    return this.finish();
  }

  async finish() {
    this.active = false;
    this.hooks.hint("");
    if (this.points.length < 2) return this.stop();
    const line = this.points.map(([lon, lat]) => `${lon.toFixed(6)},${lat.toFixed(6)}`).join(";");
    try {
      this.show(await getJson(`/map/profile?samples=400&line=${line}`));
    } catch (error) {
      this.hooks.hint(error.message);
    }
  }

  draw() {
    const features = this.points.map((at) => ({ type: "Feature", properties: {}, geometry: { type: "Point", coordinates: at } }));
    if (this.points.length > 1) features.push({ type: "Feature", properties: {}, geometry: { type: "LineString", coordinates: this.points } });
    this.map.getSource("line").setData({ type: "FeatureCollection", features });
  }

  show(data) {
    const heights = data.height_m.filter((h) => h != null);
    this.element.hidden = false;
    document.body.classList.add("with-chart");
    if (!heights.length) { this.element.innerHTML = `<header><h2>Profile</h2>No height along this line.<button class="close" aria-label="Close the profile">×</button></header>`; this.wire(); return; }
    const low = Math.min(...heights), high = Math.max(...heights), span = Math.max(high - low, 10);
    const length = data.distance_m.at(-1);
    const x = (i) => (data.distance_m[i] / length) * WIDTH, y = (h) => FLOOR - ((h - low) / span) * (FLOOR - TOP);
    let climb = 0;
    data.height_m.forEach((h, i) => { const before = data.height_m[i - 1]; if (h != null && before != null && h > before) climb += h - before; });
    this.element.innerHTML = `<header><h2>Profile</h2><span>${(length / 1000).toFixed(1)} km</span><span>${low.toFixed(0)}–${high.toFixed(0)} m</span><span>climb ${climb.toFixed(0)} m</span><span id="at"></span><button class="close" aria-label="Close the profile">×</button></header>
      <svg viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none" role="slider" tabindex="0" aria-label="Place along the profile" aria-valuemin="0" aria-valuemax="${data.distance_m.length - 1}" aria-valuenow="0">
      <defs><linearGradient id="ground" x1="0" y1="0" x2="0" y2="1"><stop offset="0" stop-color="#0b6b78" stop-opacity=".5"/><stop offset="1" stop-color="#0b6b78" stop-opacity=".06"/></linearGradient></defs>
      ${[0, 0.5, 1].map((part) => `<path d="M0 ${y(low + span * part)}H${WIDTH}" stroke="#d9e0e1" vector-effect="non-scaling-stroke"/>`).join("")}
      ${areas(data, x, y)}${strip(data, x, this.state)}<path id="needle" d="M0 ${TOP}V${FLOOR + 14}" stroke="#b3400b" stroke-width="1.5" vector-effect="non-scaling-stroke" visibility="hidden"/></svg>`;
    this.wire(data, x);
  }

  wire(data, x) {
    this.element.querySelector(".close").onclick = () => this.hooks.closed();
    const svg = this.element.querySelector("svg");
    if (!svg) return;
    let place = 0;
    const go = (index) => {
      place = Math.max(0, Math.min(data.distance_m.length - 1, index));
      const h = data.height_m[place], sigma = data.uncertainty_m[place];
      const name = this.state.sources.find((s) => s.id === data.source[place])?.title || "no source";
      const words = `${(data.distance_m[place] / 1000).toFixed(2)} km: ${h == null ? "void" : `${h.toFixed(1)} m ${sigma != null ? `± ${sigma.toFixed(1)} m` : ""} · ${name}`}`;
      this.element.querySelector("#at").textContent = words;
      svg.setAttribute("aria-valuenow", place);
      svg.setAttribute("aria-valuetext", words);
      const needle = svg.querySelector("#needle");
      needle.setAttribute("visibility", "visible");
      needle.setAttribute("transform", `translate(${x(place)} 0)`);
      this.hooks.probe([data.lon[place], data.lat[place]]);
    };
    svg.onpointermove = (event) => { const box = svg.getBoundingClientRect(); go(Math.round(((event.clientX - box.left) / box.width) * (data.distance_m.length - 1))); };
    svg.onkeydown = (event) => { const step = { ArrowLeft: -4, ArrowRight: 4, Home: -1e6, End: 1e6 }[event.key]; if (step) { event.preventDefault(); event.stopPropagation(); go(place + step); } };
  }
}

// Terrain and its uncertainty (one standard deviation), broken where there is no height.
function areas(data, x, y) {
  let out = "", run = [];
  const flush = () => {
    if (run.length > 1) {
      const top = run.map((i) => `${x(i).toFixed(1)} ${y(data.height_m[i]).toFixed(1)}`).join("L");
      const band = run.map((i) => `${x(i).toFixed(1)} ${y(data.height_m[i] + (data.uncertainty_m[i] || 0)).toFixed(1)}`).join("L") + "L" + [...run].reverse().map((i) => `${x(i).toFixed(1)} ${y(data.height_m[i] - (data.uncertainty_m[i] || 0)).toFixed(1)}`).join("L");
      out += `<path d="M${x(run[0]).toFixed(1)} ${FLOOR}L${top}L${x(run.at(-1)).toFixed(1)} ${FLOOR}Z" fill="url(#ground)"/><path d="M${band}Z" fill="#f0a202" opacity=".4"/><path d="M${top}" fill="none" stroke="#0b4a54" stroke-width="2" stroke-linejoin="round" vector-effect="non-scaling-stroke"/>`;
    }
    run = [];
  };
  data.height_m.forEach((h, i) => (h == null ? flush() : run.push(i)));
  flush();
  return out;
}

// Below the ground, a strip in the colour of each height's source.
function strip(data, x, state) {
  const colours = Object.fromEntries(state.sources.map((source) => [source.id, source.colour]));
  let out = "";
  for (let i = 0; i + 1 < data.source.length; i++) if (data.source[i]) out += `<rect x="${x(i).toFixed(1)}" y="${FLOOR + 4}" width="${(x(i + 1) - x(i) + 0.6).toFixed(1)}" height="9" fill="${colours[data.source[i]] || "#777"}"/>`;
  return out;
}
