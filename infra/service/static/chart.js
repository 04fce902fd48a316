// A profile as a picture: axes with units, terrain with its uncertainty, other products as lines, sources as a strip.
const LEFT = 52, RIGHT = 12, TOP = 10, BELOW = 42;
// Okabe and Ito's colours, and dashes for those who see no colours.
export const LINES = [["#d55e00", "7 4"], ["#0072b2", "2 3"], ["#cc79a7", "10 3 2 3"], ["#000000", "4 2"]];

export function drawn(data, state, width, height) {
  const also = Object.entries(data.also_m || {});
  const every = [data.height_m, ...also.map(([, heights]) => heights)].flat().filter((h) => h != null);
  const low = Math.min(...every), high = Math.max(Math.max(...every), low + 10), length = data.distance_m.at(-1);
  const floor = height - BELOW;
  const x = (metres) => LEFT + (metres / length) * (width - LEFT - RIGHT), y = (h) => floor - ((h - low) / (high - low)) * (floor - TOP);
  const place = (i) => x(data.distance_m[i]);
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="system-ui, sans-serif" font-size="11" fill="#4a595e">
    <defs><linearGradient id="ground" x1="0" y1="0" x2="0" y2="1"><stop offset="0" stop-color="#0b6b78" stop-opacity=".5"/><stop offset="1" stop-color="#0b6b78" stop-opacity=".06"/></linearGradient></defs>
    ${axes(low, high, length, x, y, width, height, floor)}${areas(data, place, y, floor)}${also.map(([, heights], i) => line(heights, place, y, ...LINES[i % LINES.length])).join("")}${strip(data, place, state, floor)}
    <path id="needle" d="M0 ${TOP}V${floor + 12}" stroke="#b3400b" stroke-width="1.5" visibility="hidden"/></svg>`;
  return { svg, place };
}

function step(span, most) { return [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000].find((one) => span / one <= most); }

function axes(low, high, length, x, y, width, height, floor) {
  const up = step(high - low, 4), along = step(length, Math.max(3, width / 110)), parts = [];
  for (let h = Math.ceil(low / up) * up; h <= high; h += up) parts.push(`<path d="M${LEFT} ${y(h)}H${width - RIGHT}" stroke="#d9e0e1"/><text x="${LEFT - 6}" y="${y(h) + 4}" text-anchor="end">${+h.toFixed(1)}</text>`);
  for (let metres = 0; metres <= length; metres += along) parts.push(`<path d="M${x(metres)} ${floor + 13}v4" stroke="#8a999d"/><text x="${x(metres)}" y="${floor + 28}" text-anchor="middle">${+(metres / 1000).toFixed(3)}</text>`);
  return `${parts.join("")}<text x="${width - RIGHT}" y="${height - 2}" text-anchor="end">distance, km</text><text x="13" y="${(TOP + floor) / 2}" text-anchor="middle" transform="rotate(-90 13 ${(TOP + floor) / 2})">height, m</text>`;
}

// Unbroken stretches of indices that have a height.
function stretches(heights) {
  const found = [];
  let run = [];
  heights.forEach((h, i) => { if (h != null) run.push(i); else if (run.length) { found.push(run); run = []; } });
  if (run.length) found.push(run);
  return found.filter((one) => one.length > 1);
}

const joined = (run, place, y, height) => run.map((i) => `${place(i).toFixed(1)} ${y(height(i)).toFixed(1)}`).join("L");

// Terrain and its uncertainty (one standard deviation), broken where there is no height.
function areas(data, place, y, floor) {
  return stretches(data.height_m).map((run) => {
    const top = joined(run, place, y, (i) => data.height_m[i]);
    const band = `${joined(run, place, y, (i) => data.height_m[i] + (data.uncertainty_m[i] || 0))}L${joined([...run].reverse(), place, y, (i) => data.height_m[i] - (data.uncertainty_m[i] || 0))}`;
    return `<path d="M${place(run[0]).toFixed(1)} ${floor}L${top}L${place(run.at(-1)).toFixed(1)} ${floor}Z" fill="url(#ground)"/><path d="M${band}Z" fill="#f0a202" opacity=".4"/><path d="M${top}" fill="none" stroke="#0b4a54" stroke-width="2" stroke-linejoin="round"/>`;
  }).join("");
}

function line(heights, place, y, colour, dashes) {
  return stretches(heights).map((run) => `<path d="M${joined(run, place, y, (i) => heights[i])}" fill="none" stroke="${colour}" stroke-width="1.5" stroke-dasharray="${dashes}"/>`).join("");
}

// Below the terrain, a strip in the colour of each height's source.
function strip(data, place, state, floor) {
  const colours = Object.fromEntries(state.sources.map((source) => [source.id, source.colour]));
  let out = "";
  for (let i = 0; i + 1 < data.source.length; i++) if (data.source[i]) out += `<rect x="${place(i).toFixed(1)}" y="${floor + 3}" width="${(place(i + 1) - place(i) + 0.6).toFixed(1)}" height="9" fill="${colours[data.source[i]] || "#777"}"/>`;
  return out;
}

export function csvOf(data) {
  const also = Object.keys(data.also_m || {});
  const rows = data.distance_m.map((d, i) => [d, data.lon[i], data.lat[i], data.height_m[i], data.uncertainty_m[i], data.source[i], ...also.map((id) => data.also_m[id][i])]);
  return [["distance_m", "lon", "lat", "height_m", "uncertainty_m", "source", ...also.map((id) => `height_${id}_m`)], ...rows].map((row) => row.map((one) => one ?? "").join(",")).join("\n") + "\n";
}

export function geojsonOf(data, points) {
  const coordinates = data.lon.map((lon, i) => (data.height_m[i] == null ? [lon, data.lat[i]] : [lon, data.lat[i], data.height_m[i]]));
  const { distance_m, height_m, uncertainty_m, source, also_m } = data;
  return JSON.stringify({ type: "Feature", geometry: { type: "LineString", coordinates }, properties: { points, distance_m, height_m, uncertainty_m, source, also_m } });
}

// The picture at twice its size, on white.
export async function pngOf(svg, width, height) {
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(svg)}`;
  await image.decode();
  const canvas = Object.assign(document.createElement("canvas"), { width: width * 2, height: height * 2 }), pen = canvas.getContext("2d");
  pen.fillStyle = "#fff";
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.drawImage(image, 0, 0, canvas.width, canvas.height);
  return new Promise((done) => canvas.toBlob(done, "image/png"));
}
