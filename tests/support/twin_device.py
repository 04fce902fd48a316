"""A second torch device on any machine with a compiler, in the processor's memory; see `twin_device.cpp`.

It stands where an accelerator would: code that forgets to move a tensor, or to bring one back, fails on it as on a GPU, and
so does code that holds too much of its memory. It does not stand for a GPU's arithmetic.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch
from torch.utils.cpp_extension import include_paths

NAME = "twin"
SOURCE = Path(__file__).with_suffix(".cpp")


class _Module:
    """What torch asks of a device's module."""

    @staticmethod
    def is_available() -> bool:
        return True

    @staticmethod
    def device_count() -> int:
        return 1

    @staticmethod
    def current_device() -> int:
        return 0

    @staticmethod
    def _is_in_bad_fork() -> bool:
        return False

    @staticmethod
    def manual_seed_all(seed: int) -> None:
        """The processor draws all numbers."""


def compiler() -> str | None:
    """The C++ compiler of this machine."""
    return shutil.which("c++") or shutil.which("g++")


@functools.cache
def start() -> ctypes.CDLL:
    """Build the device, once for a torch and a source, and make it known to torch as `twin`."""
    library = _built()
    torch.utils.rename_privateuse1_backend(NAME)
    torch._register_device_module(NAME, _Module)
    loaded = ctypes.CDLL(str(library))
    loaded.twin_limit.argtypes = [ctypes.c_int64]
    loaded.twin_used.restype = loaded.twin_peak.restype = ctypes.c_int64
    loaded.twin_start()
    torch.utils.generate_methods_for_privateuse1_backend(for_storage=True)
    return loaded


@contextlib.contextmanager
def limited(device: ctypes.CDLL, spare_bytes: int) -> Iterator[None]:
    """Within, the device has so much memory left."""
    device.twin_limit(device.twin_used() + spare_bytes)
    try:
        yield
    finally:
        device.twin_limit(0)


def _built() -> Path:
    key = hashlib.sha256(SOURCE.read_bytes() + torch.__version__.encode()).hexdigest()[:16]
    library = Path(tempfile.gettempdir()) / f"orograph-twin-{key}.so"
    if library.exists():
        return library
    own = Path(torch.__file__).parent / "lib"
    part = library.with_suffix(".part")
    command = [
        str(compiler()), "-O1", "-std=c++20", "-shared", "-fPIC", str(SOURCE), "-o", str(part),
        *(f"-isystem{path}" for path in include_paths()),
        f"-L{own}", "-ltorch", "-ltorch_cpu", "-lc10", f"-Wl,-rpath,{own}",
    ]  # fmt: skip
    built = subprocess.run(command, check=False, capture_output=True, text=True)
    if built.returncode:
        raise RuntimeError(f"the device does not compile: {built.stderr[-2000:]}")
    part.replace(library)
    return library
