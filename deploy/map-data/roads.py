"""Main roads of Europe for small scales: the shortest ways between neighbouring cities on OpenStreetMap's main roads.

The package `scgraph_data` (PyPI) contains the network that its authors derived from OpenStreetMap's motorways and trunk roads,
reduced to junctions; a line between two junctions is up to some kilometres beside the road. The map draws them only where
that is not seen.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import shapely
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components, dijkstra
from scipy.spatial import Delaunay, cKDTree

PYPI: Final = "scgraph_data==2.0.0"
MODULE: Final = "scgraph_data/world_highways.py"
WELD_DEG: Final = 0.04
"""Junctions nearer than this are one: both carriageways of a motorway, and the ramps of an interchange."""
LONGEST_KM: Final = 100.0
"""Longer lines are ferries, or roads whose course between the junctions is unknown."""
LEAST_NETWORK_KM: Final = 150.0
CITY_PEOPLE: Final = 100_000
"""Ways lead between cities with more people."""
LONGEST_WAY_KM: Final = 600.0
FARTHEST_JUNCTION_KM: Final = 25.0
"""A city without a junction within this distance has no ways."""
SCALE: Final = 100
"""Coordinates are hundredths of a degree: finer than the lines are true."""
_KM_PER_DEG: Final = 111.2

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def roads(folder: Path, box_deg: tuple[float, float, float, float], cities: Floats) -> dict[str, Any]:
    """Lines as whole numbers: the first point, then steps, in hundredths of a degree, longitude before latitude.

    Args:
        folder: Where the package's wheel lies.
        box_deg: West, south, east and north.
        cities: Longitude and latitude of cities between which ways lead.
    """
    points, pairs, length_km = _read(folder, box_deg)
    points, pairs = _welded(points, pairs[length_km < LONGEST_KM])
    pairs = _ways(points, _without_islands(points, pairs), cities)
    merged = shapely.line_merge(shapely.multilinestrings(shapely.linestrings(points[pairs])))
    lines = []
    for line in shapely.get_parts(shapely.simplify(merged, 0.8 / SCALE)):
        whole = np.round(shapely.get_coordinates(line) * SCALE).astype(int)
        whole = whole[np.r_[True, np.any(np.diff(whole, axis=0), axis=1)]]
        if len(whole) > 1:
            lines.append([*map(int, whole[0]), *map(int, np.diff(whole, axis=0).ravel())])
    return {
        "attribution": "© OpenStreetMap contributors, ODbL 1.0",
        "scale": SCALE,
        "lines": sorted(lines),
    }


def _read(folder: Path, box_deg: tuple[float, float, float, float]) -> tuple[Floats, Ints, Floats]:
    """Junctions (longitude, latitude), pairs of their numbers, and lengths along the road, in a box."""
    with zipfile.ZipFile(next(folder.glob("scgraph_data-*.whl"))) as wheel:
        text = wheel.read(MODULE).decode()
    parts = dict(line.split("=", 1) for line in text.splitlines() if line.startswith(("graph=", "nodes=")))
    points = np.array(json.loads(parts["nodes"]))[:, ::-1]
    neighbours = json.loads(re.sub(r"(\d+):", r'"\1":', parts["graph"]))
    found = [(i, int(j), km) for i, row in enumerate(neighbours) for j, km in row.items() if i < int(j)]
    pairs, length_km = np.array([row[:2] for row in found]), np.array([row[2] for row in found])
    west, south, east, north = box_deg
    inside = np.all((points > (west, south)) & (points < (east, north)), axis=1)
    chosen = inside[pairs].all(axis=1)
    return points, pairs[chosen], length_km[chosen]


def _welded(points: Floats, pairs: Ints) -> tuple[Floats, Ints]:
    """Points of one cell of a grid become their mean; every pair once."""
    narrow = np.cos(np.radians(np.round(points[:, 1])))
    cells = np.round(np.c_[points[:, 0] * narrow, points[:, 1]] / WELD_DEG).astype(int)
    _, new = np.unique(cells, axis=0, return_inverse=True)
    new = new.ravel()
    counts = np.bincount(new)
    means = np.stack([np.bincount(new, column) / counts for column in points.T], axis=1)
    joined = np.sort(new[pairs], axis=1)
    return means, np.unique(joined[joined[:, 0] != joined[:, 1]], axis=0)


def _length_km(points: Floats, pairs: Ints) -> Floats:
    step = points[pairs[:, 1]] - points[pairs[:, 0]]
    narrow = np.cos(np.radians(points[pairs[:, 0], 1]))
    length: Floats = np.hypot(step[:, 0] * narrow, step[:, 1]) * _KM_PER_DEG
    return length


def _without_islands(points: Floats, pairs: Ints) -> Ints:
    """Pairs of networks of some size."""
    count = len(points)
    _, label = connected_components(coo_matrix((np.ones(len(pairs)), pairs.T), (count, count)), directed=False)
    network = label[pairs[:, 0]]
    size_km = np.bincount(network, _length_km(points, pairs))
    return pairs[size_km[network] > LEAST_NETWORK_KM]


def _ways(points: Floats, pairs: Ints, cities: Floats) -> Ints:
    """Pairs on a shortest way between cities that are neighbours, as Delaunay's triangles join them."""
    junctions = np.unique(pairs)
    distance, nearest = cKDTree(_plane(points[junctions])).query(_plane(cities))
    reached = distance * _KM_PER_DEG < FARTHEST_JUNCTION_KM
    ends = junctions[nearest[reached]]
    triangles = Delaunay(_plane(cities[reached])).simplices
    links = np.unique(
        np.sort(np.concatenate([triangles[:, side] for side in ([0, 1], [1, 2], [0, 2])]), axis=1), axis=0
    )
    count = len(points)
    network = coo_matrix((_length_km(points, pairs), pairs.T), (count, count)).tocsr()
    kept: set[tuple[int, int]] = set()
    for city in np.unique(links[:, 0]):
        way_km, before = dijkstra(
            network, directed=False, indices=ends[city], return_predecessors=True, limit=LONGEST_WAY_KM
        )
        for at in ends[links[links[:, 0] == city, 1]]:
            if np.isfinite(way_km[at]):
                kept.update(_way_back(before, at))
    return np.array(sorted(kept))


def _way_back(before: Ints, junction: int) -> Iterator[tuple[int, int]]:
    """Pairs from a junction back to where its way began."""
    while before[junction] >= 0:
        yield min(junction, before[junction]), max(junction, before[junction])
        junction = before[junction]


def _plane(points_deg: Floats) -> Floats:
    """Degrees with longitudes shortened as at 52 N: distances good to a third all over Europe."""
    return np.c_[points_deg[:, 0] * np.cos(np.radians(52.0)), points_deg[:, 1]]
