// Settings of the browser, read when the page opens. `catalogUrl` may be any catalogue whose server sends the CORS
// headers; the default is the one `orograph` serves beside this page.
window.STAC_BROWSER_CONFIG = {
  catalogUrl: new URL("../files/stac/catalog.json", window.location.href.split("#")[0]).href,
  catalogTitle: "Orograph catalogue",
  historyMode: "hash",
  displayGeoTiffByDefault: true,
  showThumbnailsAsAssets: true,
  socialSharing: [],
  crs: {
    "EPSG:3035":
      "+proj=laea +lat_0=52 +lon_0=10 +x_0=4321000 +y_0=3210000 +ellps=GRS80 +towgs84=0,0,0,0,0,0,0 +units=m +no_defs",
    "EPSG:4258": "+proj=longlat +ellps=GRS80 +towgs84=0,0,0,0,0,0,0 +no_defs",
  },
};

// Background maps: none by default, so that the page asks no other host. For one with OpenStreetMap:
// window.OROGRAPH_BASEMAPS = [{ url: "https://tile.openstreetmap.org/{z}/{x}/{y}.png", is: "XYZ",
//   title: "OpenStreetMap", attributions: "&copy; OpenStreetMap contributors", projection: "EPSG:3857" }];
