"""A tile with known errors at points, for tests of validation."""

from __future__ import annotations

from pathlib import Path

SHARED = Path(__file__).parents[2].parent / "shared"
CONTROL = SHARED / "data" / "control"
GRIDS = SHARED / "proj-grids"
FRAME = "EPSG:5621"
SIZE, PIXEL_M = 200, 10.0
WEST, NORTH = 4_300_000.0, 2_702_000.0


def heights_at(x, y):
    """A slope towards the south-east."""
    return 300.0 + 0.1 * (x - WEST) + 0.2 * (NORTH - y)


def csv_of(folder, points, name="points.csv", header="east;north;height;cover", cover="10"):
    lines = [header] if header else []
    rows = zip(points["x"], points["y"], points["h"], strict=True)
    lines += [f"{x:.3f};{y:.3f};{h:.4f};{cover}" for x, y, h in rows]
    (folder / name).write_text("\n".join(lines), encoding="utf-8")
    return folder / name
