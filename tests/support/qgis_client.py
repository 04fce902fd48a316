"""QGIS without its windows: adds every layer of a service as the page on other programs says, and draws them.

QGIS brings its own Python (`python3-qgis`), so this file imports nothing of the package and runs in that interpreter:

    QT_QPA_PLATFORM=offscreen /usr/bin/python3 tests/support/qgis_client.py http://127.0.0.1:8080 FOLDER

prints one JSON document and puts a picture of each layer into the folder.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote, urljoin
from urllib.request import urlopen

from qgis.core import (  # type: ignore[import-not-found]
    Qgis,
    QgsApplication,
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsMapRendererParallelJob,
    QgsMapSettings,
    QgsPointXY,
    QgsProject,
    QgsRasterLayer,
)
from qgis.PyQt.QtCore import QEventLoop, QSize, QTimer  # type: ignore[import-not-found]
from qgis.PyQt.QtGui import QColor  # type: ignore[import-not-found]

WIDTH, HEIGHT = 700, 500
WEB_MERCATOR = QgsCoordinateReferenceSystem("EPSG:3857")
WGS84 = QgsCoordinateReferenceSystem("EPSG:4326")


def fetched(address: str) -> Any:
    with urlopen(address, timeout=60) as answer:
        return json.load(answer)


def to(crs: Any, origin: Any = WGS84) -> Any:
    return QgsCoordinateTransform(origin, crs, QgsProject.instance())


def drawn(layer: Any, crs: Any, box: Any, path: Path) -> dict[str, Any]:
    """Draws a layer; states its errors, the share of the picture that it fills, and its mean colour there."""
    settings = QgsMapSettings()
    settings.setLayers([layer])
    settings.setOutputSize(QSize(WIDTH, HEIGHT))
    settings.setDestinationCrs(crs)
    settings.setExtent(box)
    settings.setBackgroundColor(QColor(0, 0, 0, 0))
    job = QgsMapRendererParallelJob(settings)
    job.start()
    job.waitForFinished()
    image = job.renderedImage()
    image.save(str(path))
    seen = [image.pixelColor(x, y) for x in range(0, WIDTH, 7) for y in range(0, HEIGHT, 7)]
    full = [colour.getRgb()[:3] for colour in seen if colour.alpha() > 200]
    mean = [round(sum(channel) / len(full)) for channel in zip(*full, strict=False)] if full else None
    return {"errors": [error.message for error in job.errors()], "filled": len(full) / len(seen), "mean": mean}


def legend(layer: Any) -> list[int] | None:
    """Width and height of the legend that QGIS shows below the layer's name; None without one."""
    fetcher = layer.dataProvider().getLegendGraphicFetcher(None)
    if fetcher is None:
        return None
    loop, held = QEventLoop(), []
    fetcher.finish.connect(lambda image: (held.append(image), loop.quit()))
    fetcher.error.connect(lambda _: loop.quit())
    QTimer.singleShot(20000, loop.quit)
    fetcher.start()
    if not held:
        loop.exec_()
    return [held[0].width(), held[0].height()] if held else None


def wmts(base: str, names: list[str], folder: Path) -> dict[str, Any]:
    """Layers of *Add WMS/WMTS Layer*, by name."""
    found = {}
    for name in names:
        uri = f"crs=EPSG:3857&dpiMode=7&format=image/png&layers={name}&styles=default&tileMatrixSet=WebMercatorQuad"
        layer = QgsRasterLayer(f"{uri}&url={base}/map/wmts", name, "wms")
        found[name] = {"valid": layer.isValid(), "message": layer.error().message()}
        if layer.isValid():
            box = to(WGS84, WEB_MERCATOR).transformBoundingBox(layer.extent())
            found[name] |= {
                "crs": layer.crs().authid(),
                "box": [box.xMinimum(), box.yMinimum(), box.xMaximum(), box.yMaximum()],
                "legend": legend(layer),
                **drawn(layer, WEB_MERCATOR, layer.extent(), folder / f"wmts-{name}.png"),
            }
    return found


def xyz(base: str, folder: Path) -> dict[str, Any]:
    """The relief by the address of its tiles, as from *XYZ Tiles, New Connection* with tiles of high resolution."""
    document = fetched(f"{base}/map/relief/tilejson.json")
    uri = f"type=xyz&url={quote(document['tiles'][0], safe='')}&zmin={document['minzoom']}&zmax={document['maxzoom']}"
    layer = QgsRasterLayer(f"{uri}&tilePixelRatio=2", "xyz", "wms")
    west, south, east, north = document["bounds"]
    corners = [to(WEB_MERCATOR).transform(QgsPointXY(*corner)) for corner in ((west, south), (east, north))]
    box = layer.extent()
    box.set(*corners)
    return {"valid": layer.isValid(), **drawn(layer, WEB_MERCATOR, box, folder / "xyz.png")}


def cog(base: str, item: str, name: str, folder: Path) -> dict[str, Any]:
    """A COG by `/vsicurl/`: frame, void value, classes, and values at centres of pixels next to the service's."""
    document = fetched(urljoin(base, item))
    layer = QgsRasterLayer("/vsicurl/" + urljoin(urljoin(base, item), document["assets"][name]["href"]), name, "gdal")
    if not layer.isValid():
        return {"valid": False, "message": layer.error().message()}
    provider, box = layer.dataProvider(), layer.extent()
    values = []
    for number in range(1, 8):
        column, row = number * layer.width() // 8, (number * 5 % 8) * layer.height() // 8
        place = QgsPointXY(
            box.xMinimum() + (column + 0.5) * layer.rasterUnitsPerPixelX(),
            box.yMaximum() - (row + 0.5) * layer.rasterUnitsPerPixelY(),
        )
        value, known = provider.sample(place, 1)
        degrees = to(WGS84, layer.crs()).transform(place)
        asked = fetched(f"{base}/map/point?lon={degrees.x():.9f}&lat={degrees.y():.9f}")
        values.append({"qgis": value if known else None, "service": asked})
    renderer = layer.renderer()
    classes = (
        [[one.value, one.label, one.color.name()] for one in renderer.classes()]
        if renderer.type() == "paletted"
        else []
    )
    return {
        "valid": True,
        "crs": layer.crs().authid(),
        "nodata": provider.sourceNoDataValue(1) if provider.sourceHasNoDataValue(1) else None,
        "classes": classes,
        "values": values,
        **drawn(layer, layer.crs(), box, folder / f"cog-{name}.png"),
    }


def main(base: str, folder: Path) -> None:
    program = QgsApplication([], False)
    program.initQgis()
    state = fetched(f"{base}/map/state")
    tile = fetched(f"{base}/map/tiles")["features"][0]
    item = f"{base}/files/{tile['properties']['item']}"
    names = [*state["layers"], *(f"difference-{source['id']}" for source in state["sources"])]
    found = {
        "version": Qgis.QGIS_VERSION,
        "tile": tile["id"],
        "wmts": wmts(base, names, folder),
        "xyz": xyz(base, folder),
        "cogs": {name: cog(base, item, name, folder) for name in ("elevation", "source_index", "uncertainty")},
    }
    print(json.dumps(found, indent=1))
    program.exitQgis()


if __name__ == "__main__":
    main(sys.argv[1].rstrip("/"), Path(sys.argv[2]))
