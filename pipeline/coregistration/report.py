"""A coregistration from files to files: aligned raster, field, JSON, pictures, one page that holds it all."""

from __future__ import annotations

import base64
import html
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from orograph.pipeline.coregistration import plots as figures
from orograph.pipeline.coregistration.cross_validation import HeldOut, held_out
from orograph.pipeline.coregistration.estimate import nmad
from orograph.pipeline.coregistration.files import Sample, write_json, write_rasters
from orograph.pipeline.coregistration.fit import fit
from orograph.pipeline.coregistration.prepare import prepare_pair, read_heights, read_mask
from orograph.pipeline.coregistration.result import Coregistration
from orograph.pipeline.version import __version__

Array = npt.NDArray[Any]

CONVENTION: Final = "reference(x) = raster(x - (east, north)) + up; metres"
DEFAULT_METHOD: Final = "blockwise(nuth-kaab)"
_PICTURES: Final = (
    ("dh_before.png", "Before"),
    ("dh_after.png", "After"),
    ("histogram.png", "Differences on stable ground"),
    ("shift_east.png", "Shift east"),
    ("shift_north.png", "Shift north"),
    ("shift_up.png", "Shift up"),
    ("arrows.png", "Displacement"),
)


@dataclass(slots=True)
class Stopwatch:
    """Wall and CPU seconds by step."""

    seconds: dict[str, dict[str, float]] = field(default_factory=dict)
    _wall: float = field(default_factory=time.perf_counter)
    _cpu: float = field(default_factory=time.process_time)

    def lap(self, name: str) -> None:
        """Note the time since the last lap under a name."""
        wall, cpu = time.perf_counter(), time.process_time()
        self.seconds[name] = {"wall": round(wall - self._wall, 3), "cpu": round(cpu - self._cpu, 3)}
        self._wall, self._cpu = wall, cpu


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What was found, and the numbers that tell it."""

    result: Coregistration
    report: dict[str, Any]


def peak_bytes(shape: tuple[int, int]) -> int:
    """Memory above imports of `coregister_files` for two float32 rasters of a shape in one CRS, pictures included.

    The pair, its mask and the mended copy of the raster while fitting; strips, GDAL's cache of 64 MB, samples and pictures
    do not grow with it.
    """
    return int(shape[0] * shape[1] * 4 * 4) + 450_000_000


def coregister_files(
    reference_path: Path,
    moving_path: Path,
    out: Path,
    *,
    inliers_path: Path | None = None,
    method: str = DEFAULT_METHOD,
    max_shift_m: float | None = None,
    same_heights: bool = False,
    threads: int = 0,
    check: bool = True,
    pictures: bool = True,
) -> Outcome:
    """Align a raster file with a reference file and write everything into a folder.

    `aligned.tif` and `field.tif` lie on the reference's grid; `check` adds two fits for the held-out figures. Memory is
    that of `peak_bytes`: the pair is held and everything that is written goes out strip by strip.
    """
    watch = Stopwatch()
    reference, notes = read_heights(reference_path)
    moving, more = read_heights(moving_path)
    inliers = None if inliers_path is None else read_mask(inliers_path, reference)
    pair = prepare_pair(reference, moving, inliers, same_heights=same_heights)
    watch.lap("read")
    result = fit(pair.reference, pair.moving, pair.inliers, method, max_shift_m, threads=threads)
    watch.lap("fit")
    checked = None
    if check and result.sample_count:
        checked = held_out(pair.reference, pair.moving, pair.inliers, result.method, max_shift_m, threads=threads)
        watch.lap("held out")
    out.mkdir(parents=True, exist_ok=True)
    sample = write_rasters(out, pair, result, threads=threads)
    watch.lap("apply and write")
    if pictures:
        _draw(out, result, sample)
        watch.lap("pictures")
    names = {"reference": reference_path.name, "raster": moving_path.name}
    if inliers_path is not None:
        names["inliers"] = inliers_path.name
    report = _report(result, checked, sample) | {
        "inputs": names,
        "notes": [*notes, *more, *pair.notes],
        "seconds": watch.seconds,
        "threads": threads,
    }
    write_json(out / "report.json", report)
    write_page(out / "report.html", out, report)
    return Outcome(result, report)


def _common(sample: Sample) -> tuple[Array, Array]:
    """Differences on stable ground, each where it is known."""
    before, after = sample.before_m, sample.after_m
    return before[sample.stable & np.isfinite(before)], after[sample.stable & np.isfinite(after)]


def _report(result: Coregistration, checked: HeldOut | None, sample: Sample) -> dict[str, Any]:
    first, last = _common(sample)
    east, north, up = result.shift
    errors = [_number(v) for v in np.sqrt(np.diag(result.covariance))]
    blocks = result.blocks
    return {
        "software": f"orograph {__version__}",
        "status": result.status.value,
        "method": result.method.name,
        "convention": CONVENTION,
        "shift_m": {"east": _number(east), "north": _number(north), "up": _number(up)},
        "shift_standard_error_m": dict(zip(("east", "north", "up"), errors, strict=True)),
        "nmad_m": {
            "before": _number(nmad(first)),
            "after": _number(nmad(last)),
            "held_out": _number(checked.nmad_m) if checked else None,
            "held_out_2km_buffered": _number(result.blind_nmad_m),
        },
        "median_m": {
            "before": _number(float(np.median(first))) if first.size else None,
            "after": _number(float(np.median(last))) if last.size else None,
            "held_out": _number(checked.median_m) if checked else None,
        },
        "held_out": {key: _number(value) for key, value in asdict(checked).items()} if checked else None,
        "sample_count": result.sample_count,
        "iterations": result.iterations,
        "condition": _number(result.condition),
        "slope_spread": _number(result.slope_spread),
        "stiffness": result.stiffness,
        "polynomial_m": result.field.polynomial.tolist(),
        "block_shape": list(blocks.shape) if blocks else None,
        "block_status": dict(sorted(Counter(s.value for s in blocks.status).items())) if blocks else None,
        "blocks": blocks.to_dicts() if blocks else [],
    }


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _draw(out: Path, result: Coregistration, sample: Sample) -> None:
    """All pictures; difference maps share one scale."""
    geobox, displacement = sample.geobox, sample.displacement_m
    first, last = _common(sample)
    if first.size and last.size:
        limit = float(np.clip(3.0 * nmad(first), 0.5, 1000.0))
        for name, values, used in (("before", sample.before_m, first), ("after", sample.after_m, last)):
            title = f"{name}: {figures.spread_text(used)}"
            figures.difference_map(out / f"dh_{name}.png", values, sample.stable, geobox, limit, title)
        figures.histogram(out / "histogram.png", first, last)
    for part, name in enumerate(("east", "north", "up")):
        title = f"shift {name}, mean {result.shift[part]:.2f} m"
        figures.shift_map(out / f"shift_{name}.png", displacement[part], result.blocks, geobox, title, part)
    figures.arrows(out / "arrows.png", result.blocks, displacement, geobox)


def write_page(path: Path, folder: Path, report: dict[str, Any]) -> None:
    """One HTML page with the numbers and the pictures inside it."""
    rows = [
        ("Status", report["status"]),
        ("Method", report["method"]),
        ("Shift east, north, up", ", ".join(_text(report["shift_m"][k]) for k in ("east", "north", "up")) + " m"),
        ("NMAD before", f"{_text(report['nmad_m']['before'])} m"),
        ("NMAD after", f"{_text(report['nmad_m']['after'])} m"),
        ("NMAD held out, 500 m chequerboard", f"{_text(report['nmad_m']['held_out'])} m"),
        ("NMAD held out, 2 km cells with a buffer", f"{_text(report['nmad_m']['held_out_2km_buffered'])} m"),
        ("Median before, after", f"{_text(report['median_m']['before'])}, {_text(report['median_m']['after'])} m"),
        ("Pixels used", f"{report['sample_count']:,}"),
        ("Blocks", ", ".join(f"{n} {name}" for name, n in (report["block_status"] or {}).items()) or "none"),
        ("Seconds, wall (CPU)", ", ".join(f"{k} {v['wall']} ({v['cpu']})" for k, v in report["seconds"].items())),
        ("Convention", report["convention"]),
        *[("Note", note) for note in report["notes"]],
    ]
    table = "\n".join(f"<tr><th>{html.escape(k)}</th><td>{html.escape(str(v))}</td></tr>" for k, v in rows)
    images = "\n".join(_picture(folder / name, title) for name, title in _PICTURES if (folder / name).is_file())
    title = f"{report['inputs']['raster']} onto {report['inputs']['reference']}"
    path.write_text(_PAGE.format(title=html.escape(title), table=table, images=images), encoding="utf-8")


def _text(value: float | None) -> str:
    return "not known" if value is None else f"{round(value, 2) + 0.0:.2f}"


def _picture(path: Path, title: str) -> str:
    data = base64.b64encode(path.read_bytes()).decode()
    escaped = html.escape(title)
    return (
        f'<figure><img alt="{escaped}" src="data:image/png;base64,{data}"><figcaption>{escaped}</figcaption></figure>'
    )


_PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>{title}</title>
<style>
body{{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:1200px;padding:0 1rem;color:#1b1b1b;background:#fff}}
table{{border-collapse:collapse;margin-bottom:1.5rem}}
th{{text-align:left;font-weight:600;padding:.2rem 1.2rem .2rem 0;vertical-align:top;white-space:nowrap}}
td{{padding:.2rem 0;font-variant-numeric:tabular-nums}}
main{{display:grid;grid-template-columns:repeat(auto-fit,minmax(340px,1fr));gap:1rem}}
figure{{margin:0}} img{{width:100%;height:auto;border:1px solid #ddd}} figcaption{{color:#555;font-size:.9em}}
</style></head><body><h1>{title}</h1>
<table>
{table}
</table>
<main>
{images}
</main></body></html>
"""
