// The service for other programs: addresses to copy into QGIS, GDAL, leafmap, lonboard and STAC clients.
import { ROOT } from "./api.js";
import { copy, text } from "./dom.js";

export function showLinks(dialog, view) {
  const layer = view.layer === "difference" ? `difference/${view.other}` : view.layer;
  const rows = [
    ["TileJSON of this layer", `${ROOT}/map/${layer}/tilejson.json`, "leafmap, lonboard, MapLibre"],
    ["WMTS of all layers", `${ROOT}/map/wmts`, "QGIS, GDAL, ArcGIS"],
    ["Heights as terrain tiles", `${ROOT}/map/terrain/tilejson.json`, "3D in MapLibre, terrarium encoding"],
    ["STAC API", `${ROOT}/stac/`, "pystac-client, odc-stac, STAC Browser"],
    ["STAC catalogue", `${ROOT}/files/stac/catalog.json`, "static files"],
    ["OpenAPI description", `${ROOT}/openapi.json`, "orders, jobs, heights, profiles"],
    ["Documentation of the API", `${ROOT}/stac/docs`, "search by place, time and quality"],
    ["This view", location.href, "for a colleague"],
  ];
  dialog.querySelector("ul").replaceChildren(...rows.map(([title, href, note]) => {
    const row = document.createElement("li"), link = Object.assign(text("a", title), { href, target: "_blank" }), button = text("button", "Copy URL", "link");
    button.onclick = () => copy(href, button);
    button.setAttribute("aria-label", `Copy the URL: ${title}`);
    row.append(link, text("span", note, "muted"), button);
    return row;
  }));
  dialog.showModal();
}
