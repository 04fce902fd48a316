"""Descriptions of the real DTMs that lie beside the checkout, as a person would write them into a catalogue."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

_TIROL = {
    "horizontal_crs": "EPSG:31287",
    "vertical_frame": "EPSG:5778",
    "resolution_m": 5.0,
    "area_deg": [10.0, 46.6, 13.0, 47.8],
}
_SWISS = {"horizontal_crs": "EPSG:21781", "vertical_frame": "EPSG:5728", "area_deg": [5.9, 45.8, 10.6, 47.9]}

SOURCES: dict[str, dict[str, Any]] = {
    "tirol": {"files": ["dtm/tirol_*_5m.tif"], **_TIROL},
    "petzenkirchen": {
        "files": ["dtm/petzenkirchen_at_10m.tif"],
        "horizontal_crs": "EPSG:3035",
        "vertical_frame": "EPSG:5778",
        "resolution_m": 10.0,
        "area_deg": [9.5, 46.3, 17.2, 49.1],
    },
    "swissalti3d-2m": {"files": ["dtm/swissalti3d_2m.tif"], "resolution_m": 2.0, **_SWISS},
    "limburg": {
        "files": ["dtm/limburg_nl_0p5m.tif"],
        "horizontal_crs": "EPSG:28992",
        "vertical_frame": "EPSG:5709",
        "resolution_m": 0.5,
        "area_deg": [3.2, 50.7, 7.3, 53.7],
    },
    "srtm": {
        "files": ["srtm/N43E006.hgt", "srtm/N43E007.hgt"],
        "horizontal_crs": "EPSG:4326",
        "vertical_frame": "EPSG:5773",
        "resolution_m": 90.0,
        "pixel": "point",
        "surface": "DSM",
        "thinning": "averaged",
        "accuracy_m": 5.0,
        "area_deg": [5.9, 42.9, 8.1, 44.1],
    },
}


def write_catalogue(path: Path, data: Path, *names: str) -> Path:
    """Write a catalogue of the named sources whose files lie below `data`."""
    common = {
        "providers": [{"name": "as stated beside the data"}],
        "licence": "proprietary",
        "attribution": "as stated beside the data",
        "surface": "DTM",
        "thinning": "decimated",
        "accuracy_m": 0.3,
    }
    sources = []
    for name in names or tuple(SOURCES):
        described = dict(SOURCES[name])
        files = [str(data / pattern) for pattern in described.pop("files")]
        sources.append({"id": name, "title": name, **common, "data": {"kind": "files", "hrefs": files}, **described})
    path.write_text(yaml.safe_dump({"sources": sources}, sort_keys=False))
    return path
