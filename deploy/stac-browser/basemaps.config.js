// Replaces STAC Browser's own file: background maps come from config.js, so that a page asks no host unless told to.
export default function configureBasemap() {
  return window.OROGRAPH_BASEMAPS || [];
}
