"""One section in a process of its own: a crash or a stop ends that section alone."""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path

from tests.bench.gpu.context import Context
from tests.support import twin_device


def main() -> None:
    """Run the section that the command line names."""
    parser = argparse.ArgumentParser()
    parser.add_argument("name")
    parser.add_argument("--device", required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--rasters", type=Path, required=True)
    parser.add_argument("--small", action="store_true")
    args = parser.parse_args()
    measured(args.name, args.device, args.seconds, args.folder, args.rasters, small=args.small)


def measured(name: str, device: str, seconds: float, folder: Path, rasters: Path, *, small: bool) -> Context:
    """Run a section in this process and return its context."""
    if device == twin_device.NAME:
        twin_device.start()
    context = Context(device, seconds, folder, rasters, small, name)
    importlib.import_module(f"tests.bench.gpu.{name}").measure(context)
    return context


if __name__ == "__main__":
    main()
