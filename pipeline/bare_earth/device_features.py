"""Computes inputs of the bare-earth network on a torch device, so that only heights are transferred to it."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it

from orograph.pipeline.bare_earth.network import SurfaceSpec


def features_on(
    device: str, dsm_m: np.ndarray, pixel_size_m: float, spec: SurfaceSpec, shares: np.ndarray | None = None
) -> torch.Tensor:
    """Compute the network inputs on a device, float32 (channels, rows, columns).

    They equal `network.features` to rounding.
    Openings are minima and maxima, equal bit for bit; means and gradients differ in their last bits.

    Args:
        device: Torch device by name.
        dsm_m: DSM heights without voids, metres.
        pixel_size_m: Size of a pixel, metres.
        spec: Inputs of the network.
        shares: (2, rows, columns), share of trees and of buildings, 0 to 1, NaN where unknown; None without a map.
    """
    with torch.inference_mode():
        z = torch.from_numpy(np.ascontiguousarray(dsm_m, dtype=np.float32)).to(device)[None, None]
        planes = [z - _opened(z, width) for width in spec.windows_px]
        planes += [z - _mean(z, width) for width in (spec.windows_px[1], spec.windows_px[-1])]
        planes += [_gradient(z, pixel_size_m, axis) * (spec.scale_m * 2) for axis in (2, 3)]
        compressed = [torch.asinh(torch.cat(planes, dim=1) / spec.scale_m)]
        centre = math.sqrt(spec.pixel_size_m[0] * spec.pixel_size_m[1])
        compressed.append(torch.full_like(z, math.log2(pixel_size_m / centre)))
        if spec.cover:
            compressed.append(_cover(z, shares))
        return torch.cat(compressed, dim=1)[0]


def _opened(z: torch.Tensor, width: int) -> torch.Tensor:
    """Grey opening by a square; pooling takes minima as maxima of the negative."""
    return _highest(-_highest(-z, width), width)


def _highest(z: torch.Tensor, width: int) -> torch.Tensor:
    """Maximum of a square around each pixel, one axis after the other."""
    half = width // 2
    rows = F.max_pool2d(F.pad(z, (0, 0, half, half), mode="replicate"), (width, 1), stride=1)
    return F.max_pool2d(F.pad(rows, (half, half, 0, 0), mode="replicate"), (1, width), stride=1)


def _mean(z: torch.Tensor, width: int) -> torch.Tensor:
    """Mean of a square around each pixel, in double precision, one axis after the other."""
    half = width // 2
    kernel = torch.full((1, 1, width, 1), 1.0 / width, dtype=torch.float64, device=z.device)
    rows = F.conv2d(F.pad(z.double(), (0, 0, half, half), mode="replicate"), kernel)
    return F.conv2d(F.pad(rows, (half, half, 0, 0), mode="replicate"), kernel.transpose(2, 3)).float()


def _gradient(z: torch.Tensor, pixel_size_m: float, axis: int) -> torch.Tensor:
    """Central differences along an axis, one-sided at its ends, as numpy's."""
    last = z.shape[axis] - 1
    inner = (z.narrow(axis, 2, last - 1) - z.narrow(axis, 0, last - 1)) / (2.0 * pixel_size_m)
    first = (z.narrow(axis, 1, 1) - z.narrow(axis, 0, 1)) / pixel_size_m
    end = (z.narrow(axis, last, 1) - z.narrow(axis, last - 1, 1)) / pixel_size_m
    return torch.cat((first, inner, end), dim=axis)


def _cover(z: torch.Tensor, shares: np.ndarray | None) -> torch.Tensor:
    """Trees, buildings, and whether both are known; zeros without a map."""
    if shares is None:
        return torch.zeros((1, 3, *z.shape[2:]), dtype=z.dtype, device=z.device)
    given = torch.from_numpy(np.ascontiguousarray(shares, dtype=np.float32)).to(z.device)[None]
    known = torch.isfinite(given).all(dim=1, keepdim=True).to(z.dtype)
    return torch.cat((torch.nan_to_num(given) * known, known), dim=1)
