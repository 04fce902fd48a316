"""A CRS is known by its code and its parameters; what only looks alike is another one."""

from __future__ import annotations

import re
from typing import Final

import numpy as np
import pytest
import rasterio
from pyproj import CRS, Transformer
from pyproj.aoi import AreaOfInterest
from pyproj.database import query_crs_info
from pyproj.enums import PJType
from pyproj.exceptions import ProjError
from rasterio.io import MemoryFile
from rasterio.transform import from_bounds

from orograph.pipeline.core.crs_identity import (
    Bounds,
    FileCrs,
    file_crs,
    is_empty_statement,
    same_horizontal,
    same_vertical,
)

EUROPE: Final = AreaOfInterest(-32, 27, 45, 82)
NO_GRID: Final = {"9895", "32600"}
"""A 3D CRS listed as 2D, and the family of UTM zones."""


def european() -> list[str]:
    found = query_crs_info("EPSG", [PJType.PROJECTED_CRS, PJType.GEOGRAPHIC_2D_CRS], EUROPE, contains=False)
    return [f"EPSG:{info.code}" for info in found if info.code not in NO_GRID]


def place(crs: CRS) -> Bounds:
    area = crs.area_of_use
    lon, lat = (area.west + area.east) / 2, (area.south + area.north) / 2
    if crs.is_geographic:
        return lon, lat, lon + 0.01, lat + 0.01
    try:
        x, y = Transformer.from_crs(crs.geodetic_crs, crs, always_xy=True).transform(lon, lat)
    except ProjError:  # a projection this PROJ describes and cannot compute
        x, y = 0.0, 0.0
    return x, y, x + 1000.0, y + 1000.0


def through_geotiff(crs: str, bounds: Bounds) -> FileCrs:
    with MemoryFile() as memory:
        about = {"driver": "GTiff", "width": 2, "height": 2, "count": 1, "dtype": "int16", "crs": crs}
        with memory.open(transform=from_bounds(*bounds, 2, 2), **about) as file:
            file.write(np.zeros((1, 2, 2), np.int16))
        with memory.open() as file:
            return file_crs(file.crs.to_wkt(), tuple(file.bounds))


def test_all_european_codes_written_to_geotiff_read_back() -> None:
    codes = european()
    assert len(codes) > 1097
    wrong = []
    for code in codes:
        bounds = place(CRS.from_user_input(code))
        found = through_geotiff(code, bounds)
        if not same_horizontal(found, code, bounds):
            wrong.append((code, found.label))
    assert wrong == []


def utm(text: str = "", **changed: str) -> str:
    wkt = CRS.from_epsg(25832).to_wkt()
    for old, new in changed.items():
        parameter, _, value = new.partition("=")
        wkt, count = re.subn(rf'"{parameter}",[-0-9.]+', f'"{parameter}",{value}', wkt)
        assert count == 1, old
    return re.sub(r',\s*ID\["EPSG",25832\]\]$', "]", wkt)


UTM: Final = (569_000.0, 5_574_000.0, 573_000.0, 5_578_000.0)
RD: Final = (150_000.0, 440_000.0, 154_000.0, 444_000.0)
LAEA: Final = (4_320_000.0, 3_020_000.0, 4_330_000.0, 3_030_000.0)
LAMBERT: Final = (650_000.0, 6_860_000.0, 654_000.0, 6_864_000.0)
RD_TEXT: Final = (
    "+proj=sterea +lat_0=52.1561605555556 +lon_0=5.38763888888889 +k={k} +x_0={x} +y_0=463000 +ellps=bessel"
)
LAEA_TEXT: Final = "+proj=laea +lat_0={lat} +lon_0={lon} +x_0=4321000 +y_0={y} +ellps={e}"
LCC_TEXT: Final = "+proj=lcc +lat_0={lat} +lon_0={lon} +lat_1={p} +lat_2=44 +x_0=700000 +y_0=6600000 +ellps=GRS80"
LOOK_ALIKES: Final = [
    *((utm(a=text), "EPSG:25832", UTM) for text in (
        "False easting=510000", "False easting=0", "False easting=500001", "False northing=1", "False northing=-5000000",
        "Scale factor at natural origin=1", "Scale factor at natural origin=0.9999", "Longitude of natural origin=9.0001",
        "Longitude of natural origin=15", "Latitude of natural origin=0.001",
    )),
    ("+proj=utm +zone=32 +ellps=GRS80 +units=us-ft", "EPSG:25832", UTM),
    ("+proj=utm +zone=32 +ellps=GRS80 +units=km", "EPSG:25832", UTM),
    ("+proj=utm +zone=33 +ellps=GRS80", "EPSG:25832", UTM),
    ("+proj=utm +zone=32 +ellps=intl", "EPSG:25832", UTM),
    ("+proj=utm +zone=32 +ellps=bessel", "EPSG:25832", UTM),
    ("+proj=tmerc +lon_0=9 +k=0.9996 +x_0=500000 +ellps=GRS80 +pm=paris", "EPSG:25832", UTM),
    ("EPSG:32632", "EPSG:25832", UTM),
    ("EPSG:23032", "EPSG:25832", UTM),
    ("EPSG:4647", "EPSG:25832", UTM),
    (RD_TEXT.format(k=0.9999079, x=0), "EPSG:28992", RD),
    (RD_TEXT.format(k=1, x=155000), "EPSG:28992", RD),
    ("EPSG:28991", "EPSG:28992", RD),
    (LAEA_TEXT.format(lat=52, lon=9, y=3210000, e="GRS80"), "EPSG:3035", LAEA),
    (LAEA_TEXT.format(lat=52, lon=10, y=0, e="GRS80"), "EPSG:3035", LAEA),
    (LAEA_TEXT.format(lat=51, lon=10, y=3210000, e="GRS80"), "EPSG:3035", LAEA),
    (LAEA_TEXT.format(lat=52, lon=10, y=3210000, e="bessel"), "EPSG:3035", LAEA),
    (LCC_TEXT.format(lat=46, lon=3, p=49), "EPSG:2154", LAMBERT),
    (LCC_TEXT.format(lat=46.5, lon=2.337229, p=49), "EPSG:2154", LAMBERT),
    (LCC_TEXT.format(lat=46.5, lon=3, p=48), "EPSG:2154", LAMBERT),
    ("EPSG:27572", "EPSG:2154", LAMBERT),
    ("EPSG:4258", "EPSG:4326", (9.0, 50.0, 9.1, 50.1)),
    ("+proj=longlat +ellps=WGS84 +pm=paris", "EPSG:4326", (9.0, 50.0, 9.1, 50.1)),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected", "bounds"), LOOK_ALIKES)
def test_a_look_alike_is_another_crs(text: str, expected: str, bounds: Bounds) -> None:
    assert len(LOOK_ALIKES) >= 30
    wkt = CRS.from_user_input(text).to_wkt()
    assert not same_horizontal(file_crs(wkt, bounds), expected, bounds)


@pytest.mark.parametrize(
    ("text", "expected", "bounds"),
    [
        (utm(), "EPSG:25832", UTM),
        (CRS.from_epsg(25832).to_wkt("WKT1_ESRI"), "EPSG:25832", UTM),
        ("+proj=utm +zone=32 +ellps=GRS80", "EPSG:25832", UTM),
        (LAEA_TEXT.format(lat=52, lon=10, y=3210000, e="GRS80"), "EPSG:3035", LAEA),
        (LCC_TEXT.format(lat=46.5, lon=3, p=49), "EPSG:2154", LAMBERT),
        (CRS.from_epsg(28992).to_wkt("WKT1_ESRI"), "EPSG:28992", RD),
        (CRS.from_epsg(5514).to_wkt("WKT1_ESRI"), "EPSG:5514", (-700_000.0, -1_100_000.0, -690_000.0, -1_090_000.0)),
    ],
)
def test_honest_texts_without_a_code_are_the_expected_crs(text: str, expected: str, bounds: Bounds) -> None:
    assert same_horizontal(file_crs(CRS.from_user_input(text).to_wkt(), bounds), expected, bounds)


def test_a_code_whose_parameters_were_changed_is_not_believed() -> None:
    wkt = CRS.from_epsg(25832).to_wkt().replace('"False easting",500000', '"False easting",510000')
    assert '"EPSG",25832' in wkt
    found = file_crs(wkt, UTM)
    assert found.code is None
    assert not same_horizontal(found, "EPSG:25832", UTM)


def upright(name: str, datum: str = "unknown", code: str = "") -> FileCrs:
    part = f'VERTCRS["{name}",VDATUM["{datum}"],CS[vertical,1],AXIS["up",up,LENGTHUNIT["metre",1]]{code}]'
    return file_crs(f'COMPOUNDCRS["x",{CRS.from_epsg(25832).to_wkt("WKT2_2019")},{part}]', UTM)


@pytest.mark.parametrize(
    ("name", "datum", "frame", "same"),
    [
        ("DHHN2016 height", "unknown", "EPSG:7837", True),
        ("DHHN2016_height", "Deutsches Haupthoehennetz 2016", "EPSG:7837", True),
        ("EGM2008_Geoid", "EGM2008_Geoid", "EPSG:3855", True),
        ("NAP", "Normaal_Amsterdams_Peil", "EPSG:5709", True),
        ("DHHN12 height (old)", "unknown", "EPSG:5621", False),
        ("DHHN92 height", "unknown", "EPSG:7837", False),
        ("EGM96 height", "EGM96 geoid", "EPSG:3855", False),
        ("ETRS89 ellipsoidal height", "unknown", "EPSG:3855", False),
        ("ETRS89 ellipsoidal height", "unknown", "EPSG:4937", True),
    ],
)
def test_vertical_parts_without_code_go_by_name(name: str, datum: str, frame: str, same: bool) -> None:
    part = upright(name, datum).vertical
    assert part is not None
    assert same_vertical(part, frame) is same


def test_an_unnamed_vertical_part_says_nothing() -> None:
    part = upright("unknown").vertical
    assert part is not None
    assert is_empty_statement(part)


@pytest.mark.parametrize("code", [3035, 25832, 31254, 28992, 3067, 5110, 4258, 2056])
def test_esris_wording_of_a_prj_is_the_same_crs(code: int) -> None:
    crs = CRS.from_epsg(code)
    wkt = rasterio.crs.CRS.from_wkt(crs.to_wkt("WKT1_ESRI"), morph_from_esri_dialect=True).to_wkt()
    area = crs.area_of_use
    assert area is not None
    middle = (area.west + area.east) / 2, (area.south + area.north) / 2
    x, y = Transformer.from_crs(crs.geodetic_crs, crs, always_xy=True).transform(*middle)
    step = 0.01 if crs.is_geographic else 1000.0
    bounds = (x, y, x + step, y + step)
    assert same_horizontal(file_crs(wkt, bounds), f"EPSG:{code}", bounds)
