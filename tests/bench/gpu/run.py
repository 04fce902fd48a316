"""Runs the sections in order, each within its share of the time, and writes what there is after every one.

A section that takes longer than its share and a half is stopped; what it recorded until then is kept. The whole ends at
`--seconds`, with whatever is done. Time a section leaves goes to training, the last one. A run that was cut goes on from its
`gpu.json` (`--resume`): sections that are done there are not run again.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

SHARES_S = {
    "machine": 20.0,
    "device_tests": 75.0,
    "accuracy": 70.0,
    "throughput": 60.0,
    "variants": 45.0,
    "coregistration": 40.0,
    "ray_tiles": 100.0,
    "memory": 15.0,
    "determinism": 15.0,
    "training": 35.0,
}
"""Seconds of each section, in order, for a run of 475 s; other lengths scale them."""
DRAWN = ("throughput", "variants", "ray_tiles")
POLL_S = 3.0
"""A run that is killed loses at most so much of what a section has recorded."""
KEPT = ("trained-l.safetensors",)
SLACK = 1.5
END_S = 8.0
"""Kept for pictures and the last write."""


def main() -> None:
    """Run sections as the command line says; the exit status is 1 if a section failed or missed a limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--rasters", type=Path, default=Path("none"))
    parser.add_argument("--seconds", type=float, default=475.0)
    parser.add_argument("--sections", nargs="*", default=list(SHARES_S), choices=list(SHARES_S))
    parser.add_argument("--resume", type=Path, help="gpu.json of a run of the same device that was cut")
    parser.add_argument("--small", action="store_true", help="tiny sizes, to test the script itself")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    done = finished(args.resume, args.device, small=args.small) if args.resume else {}
    found = run(args.out, args.device, args.rasters, args.seconds, args.sections, small=args.small, done=done)
    print(table(found))
    raise SystemExit(0 if all(section["state"] == "done" for section in found["sections"].values()) else 1)


def finished(before: Path, device: str, *, small: bool) -> dict[str, Any]:
    """Sections that an earlier run on the same device finished, by name."""
    found = json.loads(before.read_text())
    if (found["device"], found["small"]) != (device, small):
        raise SystemExit(f"{before} is of device {found['device']}, small {found['small']}: it cannot be resumed here")
    return {name: section for name, section in found["sections"].items() if section["state"] == "done"}


def run(
    out: Path,
    device: str,
    rasters: Path,
    seconds: float,
    sections: list[str],
    *,
    small: bool,
    done: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Run sections within `seconds`, less those that are done, and return the document that `gpu.json` contains."""
    done = done or {}
    ends = time.monotonic() + seconds - (0.0 if small else min(END_S, 0.05 * seconds))
    # Sections that are done leave their time to the others, but none takes more than twice its share.
    scale = min(2.0, seconds / sum(share for name, share in SHARES_S.items() if name not in done))
    found: dict[str, Any] = {"device": device, "small": small, "sections": {**done}}

    def keep(name: str, section: dict[str, Any]) -> None:
        found["sections"][name] = section
        part = out / "gpu.part"
        part.write_text(json.dumps(found, indent=1))
        part.replace(out / "gpu.json")

    with tempfile.TemporaryDirectory() as scratch:
        for name in (name for name in sections if name not in done):
            left_s = ends - time.monotonic()
            own_s = left_s if name == "training" else min(left_s, SHARES_S[name] * scale)
            if left_s < 2.0:
                keep(name, {"state": "no time left"})
            else:
                folder = Path(scratch) / name
                folder.mkdir()
                most_s = left_s if name == "training" or small else min(left_s, SLACK * own_s)
                keep(name, _section(name, device, rasters, folder, own_s, most_s, small=small, keep=keep))
                for kept in KEPT:
                    if (folder / kept).exists():
                        shutil.copy(folder / kept, out / kept)
            if name in DRAWN:
                _draw(found, out)
            print(
                f"{name}: {found['sections'][name]['state']}, {max(0.0, ends - time.monotonic()):.0f} s left",
                flush=True,
            )
    return found


def _section(
    name: str,
    device: str,
    rasters: Path,
    folder: Path,
    own_s: float,
    most_s: float,
    *,
    small: bool,
    keep: Callable[[str, dict[str, Any]], None],
) -> dict[str, Any]:
    """Run one section in a process group of its own, stop it at `most_s`, and read what it recorded, also meanwhile."""
    command = [sys.executable, "-m", "tests.bench.gpu.section", name, "--device", device, "--seconds", f"{own_s:.1f}"]
    command += ["--folder", str(folder), "--rasters", str(rasters), *(["--small"] if small else [])]
    log, begun = folder / "log.txt", time.monotonic()
    written = folder / f"{name}.json"

    def result(state: str) -> dict[str, Any]:
        recorded = json.loads(written.read_text()) if written.exists() else {}
        return {"state": state, "seconds": round(time.monotonic() - begun, 1), "found": recorded}

    with log.open("w") as stream:
        child = subprocess.Popen(command, stdout=stream, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            state = "stopped"
            while (left_s := begun + most_s - time.monotonic()) > 0:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    state = "done" if child.wait(min(POLL_S, left_s)) == 0 else "failed"
                    break
                keep(name, result("running"))
        finally:
            # Also what it left running, such as Ray's processes.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
    section = result(state)
    if state != "done":
        section["log"] = log.read_text()[-3000:]
    return section


def table(found: dict[str, Any]) -> str:
    """One line per section and result."""
    lines = []
    for name, section in found["sections"].items():
        lines.append(f"== {name}: {section['state']} in {section.get('seconds', 0)} s")
        for key, value in section.get("found", {}).items():
            if key != "output":
                lines.append(f"{key}: {json.dumps(value)[:220]}")
        if "log" in section:
            lines.append(section["log"][-600:])
    return "\n".join(lines)


def _draw(found: dict[str, Any], out: Path) -> None:
    from tests.bench.gpu import pictures

    sections = found["sections"]
    pictures.throughput(sections.get("throughput", {}).get("found", {}), out / "throughput.png")
    pictures.variants(sections.get("variants", {}).get("found", {}), out / "variants.png")
    pictures.tiles(sections.get("ray_tiles", {}).get("found", {}), out / "tiles.png")


if __name__ == "__main__":
    main()
