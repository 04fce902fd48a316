// "Make again with other settings": models, pixel, frame; what it would take; then the order.
import * as api from "./api.js";

const text = (value) => String(value ?? "").replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
const TITLES = { superres: "Upsampling", bare_earth: "Bare earth", pixel_size_m: "Pixel", target_frame: "Vertical frame" };
const HELP = {
  superres: "How coarse sources are brought to the tile's pixels: an exact interpolant, or a network",
  bare_earth: "Removes trees and buildings from surface models",
  pixel_size_m: "Belongs to the whole catalogue: a tile with another pixel does not meet its neighbours",
  target_frame: "Belongs to the whole catalogue: a tile in another frame does not meet its neighbours",
};

export class OrderForm {
  // item: the published item or null; hooks: order(settings) -> promise, say(message, kind)
  constructor(element, tile, state, hooks) {
    Object.assign(this, { element, tile, state, hooks, settings: {} });
    element.innerHTML = this.html();
    element.querySelector("#order").onclick = () => this.order();
    element.querySelector("details").ontoggle = (event) => event.target.open && this.open();
  }

  html() {
    const needsKey = this.state.auth !== "off" && !api.key.value;
    const key = needsKey ? `<label class="field">API key<input type="password" id="key" autocomplete="off" placeholder="oro_…"></label>` : "";
    return `<h3>Make again</h3>${key}<details id="settings"><summary>Settings and cost</summary><div id="choices"><p class="muted">Reading the choices…</p></div><p id="estimate" class="muted" role="status"></p></details>
      <button class="main" id="order">Make this tile again</button>`;
  }

  takeKey() {
    const field = this.element.querySelector("#key");
    if (field?.value) api.key.value = field.value;
  }

  async open() {
    this.takeKey();
    const box = this.element.querySelector("#choices");
    try {
      const [found, now] = await Promise.all([api.choices(), api.estimate(this.tile)]);
      box.innerHTML = Object.entries(found).filter(([name]) => TITLES[name]).map(([name, values]) => this.choice(name, values, now.settings[name])).join("") || `<p class="muted">This service lets no setting be changed.</p>`;
      for (const select of box.querySelectorAll("select")) select.onchange = () => this.changed(select);
      this.tell(now);
    } catch (error) {
      box.innerHTML = `<p class="error">${text(error.message)}</p>`;
    }
  }

  choice(name, values, now) {
    const listed = values.some((one) => one.value === now) ? values : [{ value: now, title: String(now) }, ...values];
    const options = listed.map((one) => `<option value="${text(JSON.stringify(one.value))}"${one.value === now ? " selected" : ""}>${text(one.title)}${one.value === now ? " (now)" : ""}</option>`).join("");
    return `<label class="field" title="${text(HELP[name])}">${TITLES[name]}<select data-name="${name}" data-now="${text(JSON.stringify(now))}">${options}</select></label>`;
  }

  async changed(select) {
    const { name, now } = select.dataset;
    if (select.value === now) delete this.settings[name]; else this.settings[name] = JSON.parse(select.value);
    const line = this.element.querySelector("#estimate");
    line.textContent = "Estimating…";
    const asked = JSON.stringify(this.settings);
    try {
      const found = await api.estimate(this.tile, this.settings);
      if (asked === JSON.stringify(this.settings)) this.tell(found);
    } catch (error) {
      line.textContent = error.message;
    }
  }

  tell(found) {
    const time = found.seconds == null ? "time not known yet" : found.seconds < 90 ? `about ${Math.max(1, Math.round(found.seconds))} s` : `about ${Math.round(found.seconds / 60)} min`;
    const cost = found.cost == null ? "" : `, cost ${found.cost.toFixed(2)}`;
    const memory = `${found.memory_mb} MB of memory, ${(found.pixels / 1e6).toFixed(found.pixels < 1e7 ? 1 : 0)} million pixels`;
    this.element.querySelector("#estimate").textContent = found.upToDate ? "The tile has these settings already." : `Estimate: ${time}${cost}, ${memory}. Basis: ${found.basis}.`;
  }

  async order() {
    this.takeKey();
    const button = this.element.querySelector("#order");
    button.disabled = true;
    await this.hooks.order(this.settings);
    button.disabled = false;
  }
}
