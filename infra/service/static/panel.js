// The tile's panel: sources, quality, files, and the order to make it again.
import * as api from "./api.js";
import { copy } from "./dom.js";
import { OrderForm } from "./order.js";
import { STATES } from "./style.js";

const text = (value) => String(value ?? "").replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
const metres = (value, digits = 1) => (value == null ? "–" : `${value.toFixed(digits)} m`);
const percent = (value) => (value == null ? "–" : `${(value * 100).toFixed(value < 0.01 && value > 0 ? 2 : 1)} %`);
const size = (bytes) => (bytes == null ? "" : bytes > 1e6 ? `${(bytes / 1e6).toFixed(1)} MB` : `${Math.ceil(bytes / 1e3)} kB`);

const SURFACES = { DTM: "Terrain (DTM)", DSM: "Surface (DSM)", mixed: "Terrain and surface, by source" };

export class TilePanel {
  constructor(element, state, hooks) {
    this.element = element;
    this.state = state;
    this.hooks = hooks;
    this.watching = null;
  }

  async open(properties) {
    this.stop();
    this.id = properties.id;
    this.element.hidden = false;
    document.body.classList.add("with-tile");
    this.element.innerHTML = head(properties) + `<p class="muted">Reading the catalogue…</p>`;
    this.wireClose();
    try {
      const item = properties.item ? await api.getJson(`/files/${properties.item}`) : null;
      if (this.id !== properties.id) return;
      this.element.innerHTML = head(properties) + (item ? this.body(item, properties) : `<p class="muted">Nothing is published of this tile yet.</p>`) + action(this.state);
      this.wireClose();
      this.wireOrder();
      if (item) this.exports(item);
      if (properties.job && properties.state !== "published") this.follow(properties.job);
    } catch (error) {
      this.element.innerHTML = head(properties) + `<p class="error">${text(error.message)}</p>`;
      this.wireClose();
    }
  }

  close() {
    this.stop();
    this.id = null;
    this.element.hidden = true;
    document.body.classList.remove("with-tile");
    this.hooks.closed();
  }

  stop() { this.watching?.abort(); this.watching = null; }

  body(item, properties) {
    const p = item.properties;
    const base = `${api.ROOT}/files/${properties.item.replace(/[^/]*$/, "")}`;
    const thumb = item.assets.thumbnail ? `<img class="thumb" alt="Relief of the tile" src="${text(new URL(item.assets.thumbnail.href, base).pathname)}">` : "";
    const figures = [
      [metres(p["dem:uncertainty_median_m"], 2), "median uncertainty", "Half of the heights have a smaller standard deviation"], [percent(p["dem:void_fraction"]), "void", "Pixels without a height"], [percent(p["dem:filled_fraction"]), "filled", "Pixels interpolated over gaps of the sources"],
      [metres(p["dem:vertical_accuracy_le90_m"]), "LE90", "Linear error that 90 % of the heights do not exceed"], [metres(p["dem:border_step_m"], 2), "step at borders", "Median step where two sources meet"], [`${p.gsd} m`, "pixel", "Pixel size"],
    ].filter(([value]) => value !== "–").map(([value, name, help]) => `<div title="${help}"><b>${value}</b><span>${name}</span></div>`).join("");
    return `${thumb}<p class="muted">${text(SURFACES[p["dem:surface"]] || p["dem:surface"])} · heights in ${text(this.state.frames?.[p["dem:vertical_datum"]] || p["dem:vertical_datum"])} · made <span class="whole">${text((p.updated || "").slice(0, 10))}</span></p>
      <h3>Quality</h3><div class="figures">${figures}</div>${this.sources(p)}${shifts(p)}
      <h3>Downloads</h3><ul class="files" id="files">${files(item.assets, base)}</ul><ul class="files" id="exports" style="margin-top:4px"></ul>${links(item, properties)}`;
  }

  sources(p) {
    const colours = Object.fromEntries(this.state.sources.map((source) => [source.id, source.colour]));
    const list = p["dem:sources"] || [];
    const bar = list.map((s) => `<i style="width:${(s.fraction || 0) * 100}%;background:${colours[s.id] || "#777"}"></i>`).join("");
    const keys = list.map((s) => `<li><span><i style="background:${colours[s.id] || "#777"}"></i>${text(s.title)}</span><span>${percent(s.fraction)}</span></li>`).join("");
    return `<h3>Made of</h3><div class="bar" aria-hidden="true">${bar}</div><ul class="keys">${keys}</ul>`;
  }

  async exports(item) {
    const query = new URLSearchParams({ collections: "dem-eu-exports,dem-eu-geographic", bbox: item.bbox.join(","), limit: "20" });
    const found = await api.getJson(`/stac/search?${query}`).catch(() => ({ features: [] }));
    const list = this.element.querySelector("#exports");
    if (list && this.id === item.id) list.innerHTML = found.features.map((cell) => files(cell.assets, "", `${cell.id} · `)).join("");
  }

  wireClose() {
    this.element.querySelector(".close").onclick = () => this.close();
    for (const button of this.element.querySelectorAll("[data-copy]")) button.onclick = () => copy(button.dataset.copy, button);
  }

  wireOrder() {
    const box = this.element.querySelector("#make");
    if (box) this.form = new OrderForm(box, this.id, this.state, { order: (settings) => this.order(settings) });
  }

  async order(settings) {
    this.say("");
    try {
      const job = await api.order(this.id, settings);
      if (job.status === "successful") this.say("The tile is up to date: sources and settings are the same as last time.", "muted");
      else await this.follow(job.jobID);
    } catch (error) {
      this.say(error.message);
    }
  }

  async follow(job) {
    this.stop();
    const watch = (this.watching = new AbortController());
    const box = this.element.querySelector("#progress");
    box.hidden = false;
    box.querySelector(".link").onclick = () => api.dismiss(job).catch((error) => this.say(error.message));
    let last = "";
    try {
      await api.follow(job, (status) => { this.show(box, status); if (status.status !== last) { last = status.status; this.hooks.changed(this.id, status); } }, watch.signal);
    } catch (error) {
      if (error.name !== "AbortError") this.say(error.message);
    }
  }

  show(box, status) {
    box.querySelector(".fill").style.width = `${status.progress}%`;
    box.querySelector(".track").setAttribute("aria-valuenow", status.progress);
    box.querySelector(".what").textContent = { accepted: "Waiting", running: stageName(status.stage), successful: "Done", failed: "Failed", dismissed: "Dismissed" }[status.status];
    box.querySelector(".much").textContent = `${status.progress} %`;
    box.classList.toggle("failed", status.status === "failed");
    const over = !["accepted", "running"].includes(status.status);
    box.querySelector(".link").hidden = over;
    if (status.status === "failed") this.say(`${status.message}${status.error?.remedy ? ` – ${status.error.remedy}` : ""}`);
  }

  say(message, kind = "error") {
    const line = this.element.querySelector("#said");
    if (line) { line.textContent = message; line.className = kind; }
  }
}

function stageName(stage) {
  return { fetch: "Fetching sources", coregister: "Coregistering", windows: "Making heights", export: "Writing files", commit: "Publishing" }[stage] || stage || "Starting";
}

function head(properties) {
  return `<header><h2>${text(properties.id)}</h2><span class="chip ${text(properties.state)}">${STATES[properties.state]?.text || text(properties.state)}</span><button class="close" aria-label="Close the tile panel">×</button></header>`;
}

function action(state) {
  if (state.readOnly) return `<p class="muted" style="margin-top:14px">This service takes no orders: it cannot write to its store.</p><p id="said" role="status"></p>`;
  return `<div id="make"></div>
    <div class="progress" id="progress" hidden><p><span class="what"></span><span class="much"></span></p><div class="track" role="progressbar" aria-label="Progress" aria-valuemin="0" aria-valuemax="100"><div class="fill"></div></div><button class="link">Stop</button></div>
    <p id="said" role="status"></p>`;
}

// Item, record of the run, and the address of the heights for GDAL, QGIS and odc-stac.
function links(item, properties) {
  const here = `${api.ROOT}/files/${properties.item}`;
  const absolute = (href) => new URL(href, here).href;
  const heights = item.assets.elevation || item.assets.dem;
  const rows = [`<li><a href="${text(here)}" target="_blank">STAC item</a><button class="link" data-copy="${text(here)}">Copy URL</button></li>`];
  if (item.assets.manifest) rows.push(`<li><a href="${text(absolute(item.assets.manifest.href))}" target="_blank">Record of the run</a><button class="link" data-copy="${text(absolute(item.assets.manifest.href))}">Copy URL</button></li>`);
  if (heights) rows.push(`<li><span>COG of the heights, for QGIS</span><button class="link" data-copy="${text(absolute(heights.href))}">Copy URL</button></li><li><span>the same for GDAL</span><button class="link" data-copy="/vsicurl/${text(absolute(heights.href))}">Copy path</button></li>`);
  return `<h3>Links</h3><ul class="links">${rows.join("")}</ul>`;
}

function files(assets, base, prefix = "") {
  return Object.entries(assets).filter(([name]) => name !== "thumbnail" && name !== "manifest").map(([name, asset]) => {
    const href = asset.href.startsWith("http") ? asset.href : new URL(asset.href, base).pathname;
    return `<li><a href="${text(href)}" download>${text(prefix + (asset.title || name))}<span>${size(asset["file:size"])}</span></a></li>`;
  }).join("");
}

// Where each source was found to lie: an arrow to scale, and what remained before and after.
function shifts(p) {
  const rows = (p["dem:coregistration"] || []).filter((one) => one.status === "converged");
  if (!rows.length) return "";
  const longest = Math.max(5, ...rows.map((one) => Math.hypot(one.shift_east_m, one.shift_north_m)));
  return `<h3>Coregistration</h3>` + rows.map((one) => {
    const x = 32 + (one.shift_east_m / longest) * 25, y = 32 - (one.shift_north_m / longest) * 25;
    const gain = one.nmad_before_m != null && one.nmad_after_m != null ? `<br><span class="muted">NMAD ${one.nmad_before_m.toFixed(2)} → ${one.nmad_after_m.toFixed(2)} m</span>` : "";
    // Surveys are measured against each other and stay where they are.
    const moved = one.details?.applied ?? true, ink = moved ? "#b3400b" : "#5b6b70";
    return `<div class="shift${moved ? "" : " measured"}"><svg viewBox="0 0 64 64" aria-hidden="true"><circle cx="32" cy="32" r="29" fill="#f1f5f4"/><path d="M32 5v54M5 32h54" stroke="#cfdadb"/><path d="M32 32 ${x} ${y}" stroke="${ink}" stroke-width="3" stroke-linecap="round"/><circle cx="${x}" cy="${y}" r="4" fill="${ink}"/></svg>
      <p>${text(one.source)} ${moved ? "moved by" : "measured, not moved"}<br><b>${signed(one.shift_east_m)} E, ${signed(one.shift_north_m)} N, ${signed(one.shift_up_m)} up</b> m${gain}</p></div>`;
  }).join("");
}

function signed(value) { return `${value >= 0 ? "+" : "−"}${Math.abs(value).toFixed(2)}`; }
