"""Packs what a machine without a network needs: missing packages for its Python, and a few real rasters.

    python -m tests.bench.gpu.bundle FOLDER --data ../shared/data

The packages are those that are installed here, in the same versions, less what an image with PyTorch brings and less
parts that no section uses. One compressed archive is smaller than the wheels, and unpacks in seconds.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path

import numpy as np
import rasterio
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from rasterio.windows import Window

MOST_MIB = 48
"""The bundle and a checkout of 15.3 MiB may be carried together if they have at most 64 MiB."""
THERE = frozenset(
    [
        "contourpy",
        "cycler",
        "fonttools",
        "jinja2",
        "kiwisolver",
        "llvmlite",
        "matplotlib",
        "mpmath",
        "networkx",
        "numba",
        "numpy",
        "pandas",
        "pillow",
        "pip",
        "pyarrow",
        "scipy",
        "setuptools",
        "sympy",
        "torch",
        "triton",
    ]
)
"""Distributions expected on the machine; `machine.py` records whether they are."""
UNUSED = frozenset({"pyogrio", "xarray", "aiohttp-cors"})
"""Distributions whose functions no section calls."""
PRUNED = (
    "bin", "ray/jars", "ray/rllib", "ray/tune", "ray/train", "ray/serve", "ray/llm", "ray/cpp", "ray/dashboard/client",
    "ray/data/examples", "ray/data/tests",
)  # fmt: skip
SERVICES = frozenset({"s3", "sso", "sso-oidc", "sts"})
"""Services of botocore that a store needs; the others are 25 MB of descriptions."""
PLATFORMS = (*(f"manylinux_2_{n}_x86_64" for n in (39, 35, 34, 31, 28, 27, 24, 17)), "manylinux2014_x86_64", "any")
CLIPS = {
    "truth": ("dtm/tirol_kot_5m.tif", 900),
    "surface": ("surface/virginia_dsm_2m.tif", 700),
    "coarse": ("glo30/lisbon_north_pt_glo30_1arcsec_egm2008.tif", 1000),
    "tirol_gar_5m": ("dtm/tirol_gar_5m.tif", 700),
    "tirol_hit_5m": ("dtm/tirol_hit_5m.tif", 700),
    "slovenia_1m": ("dtm/slovenia_1m.tif", 700),
    "tirol_wog_5m": ("dtm/tirol_wog_5m.tif", 700),
}
TRAINING = ("tirol_gar_5m", "tirol_hit_5m", "slovenia_1m", "tirol_wog_5m")
"""The last one is held out."""


def main() -> None:
    """Make the bundle that the command line asks for, and fail if it is too large."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data", type=Path, required=True, help="folder of the rasters that `CLIPS` names")
    parser.add_argument("--python", default="3.12", help="version of Python on the machine")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    clips(args.data, args.folder / "rasters")
    packages(args.folder / "site.tar.xz", args.python)
    size = sum(path.stat().st_size for path in args.folder.rglob("*") if path.is_file()) / 2**20
    print(f"{size:.1f} MiB in {args.folder}")
    if size > MOST_MIB:
        raise SystemExit(f"the bundle has {size:.1f} MiB, the limit is {MOST_MIB}")


def clips(data: Path, folder: Path) -> None:
    """Cut the upper left of each raster that is there."""
    folder.mkdir(exist_ok=True)
    for name, (path, side) in CLIPS.items():
        if not (data / path).exists():
            print(f"{path} is missing; made terrain takes its place")
            continue
        with rasterio.open(data / path) as dataset:
            window = Window(0, 0, min(side, dataset.width), min(side, dataset.height))
            profile = {
                "driver": "GTiff", "width": int(window.width), "height": int(window.height), "count": 1,
                "dtype": "float32", "crs": dataset.crs, "nodata": -9999.0, "compress": "zstd", "zstd_level": 19, "predictor": 3,
                "transform": dataset.window_transform(window),
            }  # fmt: skip
            heights = dataset.read(1, window=window, masked=True).astype("float32").filled(-9999.0)
            # To 1/32 m: finer digits are noise that does not compress.
            heights = np.round(heights * 32.0) / np.float32(32.0)
        with rasterio.open(folder / f"{name}.tif", "w", **profile) as clip:
            clip.write(heights, 1)
    (folder / "training.json").write_text(json.dumps(TRAINING))


def closure(python: str) -> list[str]:
    """Requirements of the package and its tests as `name==version`, without `THERE` and `UNUSED`."""
    found: dict[str, str] = {}
    waiting = [("orograph", ()), ("ray", ()), ("pytest", ()), ("pytest-timeout", ())]
    while waiting:
        name, extras = waiting.pop()
        name = canonicalize_name(name)
        if name in THERE or name in UNUSED or name in found:
            continue
        distribution = metadata.distribution(name)
        found[name] = distribution.version
        for line in distribution.requires or ():
            wanted = Requirement(line)
            places = [{"extra": extra, "python_version": python} for extra in (extras or ("",))]
            if wanted.marker is None or any(wanted.marker.evaluate(place) for place in places):
                waiting.append((wanted.name, tuple(wanted.extras)))
    del found["orograph"]
    return [*(f"{name}=={version}" for name, version in sorted(found.items())), "nvidia-ml-py"]


def packages(archive: Path, python: str) -> None:
    """Install the closure for another Python into a folder, prune it and pack it."""
    with tempfile.TemporaryDirectory() as scratch:
        site = Path(scratch) / "site"
        tag = "cp" + python.replace(".", "")
        command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--only-binary=:all:", "--no-compile"]
        command += ["--python-version", python, "--implementation", "cp", "--target", str(site)]
        command += [f"--abi={abi}" for abi in (tag, "abi3", "none")] + [f"--platform={name}" for name in PLATFORMS]
        subprocess.run([*command, *closure(python)], check=True)
        for name in PRUNED:
            shutil.rmtree(site / name, ignore_errors=True)
        for folder in (site / "botocore/data").iterdir():
            if folder.is_dir() and folder.name not in SERVICES:
                shutil.rmtree(folder)
        # Libraries that wheels bring are `lib.so.1.2`; some still contain debug symbols.
        for library in (*site.rglob("*.so"), *site.rglob("*.so.*")):
            subprocess.run(["strip", "--strip-unneeded", str(library)], check=False, capture_output=True)
        for program in ("raylet/raylet", "gcs/gcs_server"):
            subprocess.run(["strip", str(site / "ray/core/src/ray" / program)], check=True)
        # The dictionary spans the folder: rasterio and pyproj bring the same database of CRS.
        packer = "xz --x86 --lzma2=preset=7,dict=192MiB -T1"
        subprocess.run(
            ["tar", "-C", str(site), f"--use-compress-program={packer}", "-cf", str(archive), "."], check=True
        )


if __name__ == "__main__":
    main()
