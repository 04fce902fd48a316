"""Arithmetic of a network's heights: it determines their last bits, so the manifest records it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from orograph.pipeline.core.precision import Precision, used_precision


def numerics_of(
    resolvers: Iterable[object], *, bare_earth: Precision | None = None, coregistered: bool = False, device: str = "cpu"
) -> dict[str, str]:
    """Describe the arithmetic of networks and devices; empty if none was used, because all else is equal bit for bit.

    Args:
        resolvers: The resolvers used; interpolants are passed over.
        bare_earth: Precision asked of bare-earth networks; None where none was used.
        coregistered: Whether a shift was estimated; the compiled kernels of the processor need no description.
        device: The device of bare earth and coregistration.

    Returns:
        `torch` (version), `instruction_set` (of the processor, as torch uses it), `device` (`cpu` or the GPU's name)
        and `precision` in which the networks' bodies ran.
    """
    asked = [network.options for network in _networks(resolvers)]
    runs: list[tuple[str, str]] = [(one.device, used_precision(one.precision, one.device)) for one in asked]
    if bare_earth is not None:
        runs.append((device, used_precision(bare_earth, device)))
    if coregistered and device != "cpu":
        runs.append((device, "fp32"))
    if not runs:
        return {}
    import torch

    return {
        "torch": torch.__version__,
        "instruction_set": torch.backends.cpu.get_cpu_capability(),
        "device": _joined(_device_name(device) for device, _ in runs),
        "precision": _joined(precision for _, precision in runs),
    }


def merged_numerics(parts: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """The numerics of several results, different ones joined by a plus."""
    found: dict[str, list[str]] = {}
    for name, value in (item for part in parts for item in part.items()):
        found.setdefault(name, []).append(value)
    return {name: _joined(part for value in values for part in value.split(" + ")) for name, values in found.items()}


def _networks(resolvers: Iterable[object]) -> Iterator[Any]:
    """The networks behind resolvers; an ensemble has several."""
    for resolver in resolvers:
        for network in getattr(resolver, "networks", (resolver,)):
            if hasattr(network, "options"):
                yield network


def _device_name(device: str) -> str:
    if not device.startswith("cuda"):
        return device
    import torch

    return f"{torch.cuda.get_device_name(device)}, CUDA {torch.version.cuda}"


def _joined(values: Iterable[str]) -> str:
    return " + ".join(sorted(set(values)))
