// Start the program after the first paint: the page's frame is seen while the map's library is compiled.
const sheet = Object.assign(document.createElement("link"), { rel: "stylesheet", href: new URL("./vendor/maplibre-gl.css", import.meta.url).href });
const painted = new Promise((done) => {
  if (document.hidden || !window.PerformanceObserver?.supportedEntryTypes?.includes("paint")) return done(); // nothing is painted, or nobody says so
  new PerformanceObserver((list) => list.getEntriesByName("first-contentful-paint").length && done()).observe({ type: "paint", buffered: true });
  return setTimeout(done, 3000);
});

painted.then(() => new Promise((done) => { sheet.onload = sheet.onerror = done; document.head.prepend(sheet); })).then(() => import("./app.js"));
