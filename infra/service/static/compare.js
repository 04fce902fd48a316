// Two maps, one view: a source as it came to the left of the divider, the product to the right.
import { GRID, NAMES, comparable, hatch, styleOf, tileUrl, withKey } from "./style.js";

export class Compare {
  constructor(maplibre, main, state, elements) {
    Object.assign(this, { maplibre, main, state, elements, at: 50, other: null });
    const { divider } = elements;
    divider.onpointerdown = (event) => { divider.setPointerCapture(event.pointerId); divider.onpointermove = (move) => this.move((move.clientX / innerWidth) * 100); };
    divider.onpointerup = () => { divider.onpointermove = null; };
    divider.onkeydown = (event) => {
      const step = { ArrowLeft: -2, ArrowRight: 2, PageDown: -10, PageUp: 10 }[event.key];
      if (step) { event.preventDefault(); this.move(this.at + step); }
    };
  }

  get on() { return this.other !== null; }

  open(against, view, tiles) {
    this.close();
    const { raw, divider, name } = this.elements;
    raw.hidden = divider.hidden = false;
    name.textContent = against === "previous" ? "Run before" : this.state.sources.find((one) => one.id === against)?.title || against;
    const url = tileUrl(comparable(view.layer), view.version, against, view.span);
    this.other = new this.maplibre.Map({
      container: raw, style: styleOf(this.state, tiles, url, view.version), transformRequest: withKey, attributionControl: false, interactive: false,
      center: this.main.getCenter(), zoom: this.main.getZoom(), bearing: this.main.getBearing(), pitch: this.main.getPitch(), maxPitch: 75,
    });
    this.other.addImage("hatch", hatch());
    const other = this.other;
    other.on("load", () => { [...GRID, ...NAMES].forEach((id) => other.setLayoutProperty(id, "visibility", "none")); this.terrain(this.main.getTerrain()); });
    this.follow = () => other.jumpTo({ center: this.main.getCenter(), zoom: this.main.getZoom(), bearing: this.main.getBearing(), pitch: this.main.getPitch() });
    this.main.on("move", this.follow);
    this.move(this.at);
  }

  terrain(terrain) { if (this.other?.isStyleLoaded()) this.other.setTerrain(terrain || null); }

  close() {
    if (!this.other) return;
    this.main.off("move", this.follow);
    this.other.remove();
    this.other = null;
    this.elements.raw.hidden = this.elements.divider.hidden = true;
    this.main.getCanvasContainer().style.clipPath = "";
  }

  move(percent) {
    this.at = Math.max(2, Math.min(98, percent));
    this.elements.divider.style.left = `${this.at}%`;
    this.elements.divider.setAttribute("aria-valuenow", Math.round(this.at));
    // The canvas only: the attribution next to it stays whole.
    this.main.getCanvasContainer().style.clipPath = `inset(0 0 0 ${this.at}%)`;
  }
}
