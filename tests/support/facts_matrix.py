"""Small rasters of every kind people have, with the heights they contain and the mistakes that are in them."""

from __future__ import annotations

import itertools
import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import rasterio
from affine import Affine
from pyproj import CRS
from rasterio.enums import ColorInterp
from rasterio.errors import NotGeoreferencedWarning

from orograph.pipeline.sources.catalogue import Source

ROWS, COLS = 40, 36
PIXEL_M: Final = 50.0
FEET: Final = {"foot": 0.3048, "US survey foot": 1200 / 3937, "centimetre": 0.01}
CHOICES: Final = {
    "form": ("strips", "tiled", "bigtiff", "cog", "west-left", "south-up", "world file"),
    "mask": ("none", "none", "internal", "side-car", "alpha"),
    "samples": ("float32", "float64", "int16 x 0.1 + 100", "int32 x 0.01", "float32 x 2 - 5"),
    "unit": ("unstated", "unstated", "m", "foot", "US survey foot", "centimetre", "catalogue: foot", "catalogue: US survey foot", "bananas"),
    "crs": ("code", "code", "wkt", "esri", "unnamed", "none", "renamed datum", "false easting", "unit of feet", "other code"),
    "vertical": ("none", "none", "same code", "same name", "unknown", "other code", "other name", "ellipsoidal", "named feet"),
    "tag": ("Area", "Area", "Point"),
    "pixel": (None, None, "area", "point"),
    "nodata": ("none", "file", "nan", "huge", "side-car", "catalogue", "undeclared"),
    "resolution": (50.0, 50.0, 45.0, 25.0, 100.0),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Made:
    """A raster, its catalogue entry, its true heights on its true grid, and its mistakes as patterns of the error."""

    source: Source
    path: Path
    truth: np.ndarray
    affine: Affine
    faults: tuple[str, ...]


def drawn(count: int, seed: int) -> list[dict[str, Any]]:
    """Combinations with a seed; every choice of every kind comes with every choice of the two kinds next to it."""
    rng = np.random.default_rng(seed)
    names = list(CHOICES)
    plans = []
    for first, second in zip(names, names[1:] + names[:1], strict=True):
        for one, other in itertools.product(dict.fromkeys(CHOICES[first]), dict.fromkeys(CHOICES[second])):
            plans.append({first: one, second: other})
    plans = [plans[k] for k in rng.permutation(len(plans))]
    out = []
    for number in range(count):
        fixed = plans[number % len(plans)]
        # Most combinations have one or two unusual kinds: with all at once nearly every one is rejected.
        loud = set(rng.choice(names, 3, replace=False))
        usual = {name: CHOICES[name][0] for name in names}
        out.append(
            {
                name: fixed.get(name, CHOICES[name][rng.integers(len(CHOICES[name]))] if name in loud else usual[name])
                for name in names
            }
        )
    return out


def make(kind: dict[str, Any], folder: Path) -> Made:
    """Write the raster of a combination and say what is right."""
    return _Maker(kind, folder).made()


class _Maker:
    def __init__(self, kind: dict[str, Any], folder: Path) -> None:
        self.kind = kind
        self.path = folder / "dem.tif"
        self.code = 3067 if kind["crs"] == "renamed datum" else 25832
        self.frame = "EPSG:3900" if self.code == 3067 else "EPSG:7837"
        # Of points the centres are at whole multiples of the spacing, of areas the corners.
        half = PIXEL_M / 2 if kind["pixel"] == "point" or kind["tag"] == "Point" else 0.0
        self.affine = Affine(PIXEL_M, 0, 570_000.0 - half, 0, -PIXEL_M, 5_575_000.0 + half)
        self.faults: list[str] = []

    def made(self) -> Made:
        truth = self._truth()
        raw, about = self._raw(truth)
        self._write(raw, about)
        self._sidecars()
        return Made(self._source(), self.path, self.truth, self.affine, tuple(self.faults))

    def _truth(self) -> np.ndarray:
        rows, cols = np.mgrid[:ROWS, :COLS]
        x, y = self.affine.c + self.affine.a * (cols + 0.5), self.affine.f + self.affine.e * (rows + 0.5)
        self.hole = (rows > 10) & (rows < 18) & (cols > 5) & (cols < 20)
        return 200.0 + 0.02 * (x - 570_000) - 0.03 * (y - 5_575_000)

    def _raw(self, truth: np.ndarray) -> tuple[np.ndarray, dict[str, Any]]:
        kind = self.kind
        unit = kind["unit"].removeprefix("catalogue: ")
        metres = FEET.get(unit, 1.0)
        if kind["unit"] == "bananas":
            self.faults.append("bananas")
        dtype, _, scaling = kind["samples"].partition(" x ")
        scale, offset = (float(scaling.split(" ")[0]), 0.0) if scaling else (1.0, 0.0)
        offset = 100.0 if "+ 100" in scaling else -5.0 if "- 5" in scaling else offset
        if dtype == "int16" and metres < 0.1:
            dtype = "int32"  # centimetres with tenths overflow int16
        if scale == metres != 1.0:
            self.faults.append("scaled twice")
        raw = (truth / metres - offset) / scale
        whole = dtype.startswith("int")
        raw = np.round(raw) if whole else raw
        # What rounding took is the file's, not the reader's.
        self.truth = (raw.astype(dtype).astype(float) * scale + offset) * metres
        raw = raw.astype(dtype)
        about: dict[str, Any] = {
            "scale": scale,
            "offset": offset,
            "unit": "" if "catalogue" in kind["unit"] or unit == "unstated" else unit,
        }
        return self._holed(raw, whole), about

    def _holed(self, raw: np.ndarray, whole: bool) -> np.ndarray:
        nodata, mask = self.kind["nodata"], self.kind["mask"]
        if nodata in {"nan", "huge"} and whole:
            nodata = "file"
        self.nodata = nodata
        value = {"nan": np.nan, "huge": 3.4e38}.get(nodata, -9999)
        if nodata == "none" and mask != "none":
            value = 0
        if nodata != "none" or mask != "none":
            raw[self.hole] = value
            self.truth[self.hole] = np.nan
        if nodata == "undeclared" and mask == "none":
            self.faults.append("-9999|declare the nodata")
        return raw

    def _crs(self) -> str | None:
        kind = self.kind["crs"]
        flat = CRS.from_epsg(self.code)
        document = flat.to_json_dict()
        document.pop("id", None)
        if kind in {"false easting", "unit of feet", "other code"}:
            self.faults.append("horizontal_crs")
        local = flat.to_wkt().replace('"False easting",500000', '"False easting",510000')
        made = {
            "none": lambda: None,
            "wkt": lambda: CRS.from_json_dict(document).to_wkt(),
            "esri": lambda: flat.to_wkt("WKT1_ESRI"),
            "unnamed": lambda: CRS.from_proj4("+proj=utm +zone=32 +ellps=GRS80 +units=m").to_wkt(),
            "false easting": lambda: re.sub(r',\s*ID\["EPSG",25832\]\]$', "]", local),
            "unit of feet": lambda: CRS.from_proj4("+proj=utm +zone=32 +ellps=GRS80 +units=us-ft").to_wkt(),
            "other code": lambda: CRS.from_epsg(25833).to_wkt(),
        }
        return made.get(kind, flat.to_wkt)()

    def _compound(self) -> str | None:
        flat, kind = self._crs(), self.kind["vertical"]
        if flat is None or kind == "none":
            return flat
        if kind == "ellipsoidal":
            if self.code == 3067 or self.kind["crs"] != "code":
                return flat
            self.faults.append("ellipsoidal")
            upright = 'VERTCRS["ETRS89 ellipsoidal height",VDATUM["unknown"],CS[vertical,1],AXIS["up",up,LENGTHUNIT["metre",1]]]'
        elif kind in {"same code", "other code"}:
            code = 5621 if kind == "other code" else int(self.frame[5:])
            if kind == "other code":
                self.faults.append("vertical_frame")
            upright = CRS.from_epsg(code).to_wkt()
        else:
            known = str(CRS.from_user_input(self.frame).name)
            name = {
                "same name": known,
                "unknown": "unknown",
                "other name": "DHHN12 height (old)",
                "named feet": f"{known} (ft)",
            }[kind]
            if kind == "other name":
                self.faults.append("vertical_frame")
            if kind == "named feet" and "foot" not in (
                self.kind["unit"] if self.kind["unit"].startswith("catalogue") else ""
            ):
                self.faults.append("feet by the name")
            upright = f'VERTCRS["{name}",VDATUM["unknown"],CS[vertical,1],AXIS["up",up,LENGTHUNIT["metre",1]]]'
        banded = self.kind["unit"] in FEET or self.kind["unit"].startswith("catalogue")
        if banded and kind not in {"unknown", "named feet"}:
            self.faults.append("contradictory")
        return f'COMPOUNDCRS["made",{CRS.from_wkt(flat).to_wkt("WKT2_2019")},{upright}]'

    def _write(self, raw: np.ndarray, about: dict[str, Any]) -> None:
        form, mask = self.kind["form"], self.kind["mask"]
        affine = self.affine
        if form == "west-left":
            raw, affine = raw[:, ::-1], affine @ Affine.translation(COLS, 0) @ Affine.scale(-1, 1)
        elif form == "south-up":
            raw, affine = raw[::-1], affine @ Affine.translation(0, ROWS) @ Affine.scale(1, -1)
        hole = np.broadcast_to(self.hole, raw.shape)
        hole = hole[:, ::-1] if form == "west-left" else hole[::-1] if form == "south-up" else hole
        profile: dict[str, Any] = {
            "driver": "GTiff",
            "width": COLS,
            "height": ROWS,
            "count": 2 if mask == "alpha" else 1,
            "dtype": raw.dtype,
        }
        profile |= {
            "tiled": {"tiled": True, "blockxsize": 16, "blockysize": 16, "compress": "deflate"},
            "bigtiff": {"BIGTIFF": "YES"},
        }.get(form, {})
        if form == "world file":
            values = (affine.a, affine.d, affine.b, affine.e, affine.c + affine.a / 2, affine.f + affine.e / 2)
            self.path.with_suffix(".tfw").write_text("\n".join(map(str, values)))
        else:
            profile |= {"transform": affine}
        wkt = self._compound()
        if self.nodata == "file":
            profile["nodata"] = -9999
        elif self.nodata in {"nan", "huge"}:
            profile["nodata"] = np.nan if self.nodata == "nan" else 3.4028234663852886e38
        valid = np.where(hole, 0, 255).astype(np.uint8)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with (
                rasterio.Env(GDAL_TIFF_INTERNAL_MASK=mask == "internal", GDAL_PAM_ENABLED="YES"),
                rasterio.open(self.path, "w", crs=wkt, **profile) as file,
            ):
                file.write(raw, 1)
                file.scales, file.offsets = ((v,) * file.count for v in (about["scale"], about["offset"]))
                file.units = (about["unit"],) * file.count
                file.update_tags(AREA_OR_POINT=self.kind["tag"])
                if mask == "alpha":
                    file.write(valid.astype(raw.dtype), 2)
                    file.colorinterp = (ColorInterp.gray, ColorInterp.alpha)
                elif mask in {"internal", "side-car"}:
                    file.write_mask(valid)
            if form == "cog":
                self._to_cog()

    def _to_cog(self) -> None:
        if self.kind["mask"] in {"none", "internal"}:
            from rasterio.shutil import copy

            other = self.path.with_name("cog.tif")
            copy(self.path, other, driver="COG")
            other.replace(self.path)

    def _sidecars(self) -> None:
        if self.nodata == "side-car":
            aux = self.path.with_name("dem.tif.aux.xml")
            band = '<PAMRasterBand band="1"><NoDataValue>-9999</NoDataValue></PAMRasterBand>'
            if aux.exists():
                text = aux.read_text()
                aux.write_text(text.replace("</PAMDataset>", f"{band}</PAMDataset>"))
            else:
                aux.write_text(f"<PAMDataset>{band}</PAMDataset>")

    def _source(self) -> Source:
        kind = self.kind
        tagged_point = kind["tag"] == "Point" and self._has_tag()
        if tagged_point and kind["pixel"] == "area":
            self.faults.append("AREA_OR_POINT")
        if kind["resolution"] in {25.0, 100.0}:
            self.faults.append("resolution_m: 50")
        entry = {
            "id": "made", "title": "made", "providers": [{"name": "x"}], "licence": "CC0-1.0", "attribution": "x",
            "data": {"kind": "files", "hrefs": [str(self.path)]}, "horizontal_crs": f"EPSG:{self.code}",
            "vertical_frame": self.frame, "surface": "DTM", "resolution_m": kind["resolution"], "thinning": "averaged",
            "accuracy_m": 0.1, "pixel": kind["pixel"], "nodata": [-9999] if kind["nodata"] == "catalogue" else [],
            "unit": kind["unit"].removeprefix("catalogue: ") if kind["unit"].startswith("catalogue") else None,
        }  # fmt: skip
        return Source.model_validate(entry)

    def _has_tag(self) -> bool:
        return self.kind["form"] != "world file" or self.kind["crs"] != "none"
