"""Serialises each representation as named arrays and a small description, and reads it back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from orograph.pipeline.errors import ForeignModel
from orograph.pipeline.implicit.coding import (
    pack,
    pack_hierarchy,
    pack_lattice,
    unpack,
    unpack_hierarchy,
    unpack_lattice,
)
from orograph.pipeline.implicit.fields import Field, LatticeField, SumField
from orograph.pipeline.implicit.seams import SharedFrame
from orograph.pipeline.implicit.splines import DEGREE, Float64Array
from orograph.pipeline.implicit.wavelets import Axis, synthesise

Arrays = dict[str, np.ndarray]
Payload = tuple[Arrays, dict[str, Any]]
"""Arrays by name, and the description needed to read them (JSON-ready)."""

_WEIGHTS_DTYPE: Final = np.float16


def encode_lattice(coefficients: Float64Array, step_m: float, frame: SharedFrame | None = None) -> Payload:
    """Encode a dense lattice in multiples of `step_m`; a shared frame must have the same step."""
    framed = coefficients if frame is None else frame.impose(coefficients)
    levels = np.rint(framed / step_m).astype(np.int32)
    rows, cols = (size - DEGREE for size in levels.shape)
    spec = {"kind": "lattice", "rows": rows, "cols": cols, "step_m": step_m}
    return {"code": _bytes(pack_lattice(levels))}, spec


def encode_adaptive(
    levels: np.ndarray, axes: tuple[Axis, Axis], step_m: float, frame: SharedFrame | None = None
) -> Payload:
    """Encode a sparse hierarchy in multiples of `step_m`, and the border it shares with its neighbours."""
    rows, cols = axes
    arrays = {"code": _bytes(pack_hierarchy(levels, rows, cols))}
    spec: dict[str, Any] = {
        "kind": "adaptive",
        "rows": [rows.coarse, rows.levels],
        "cols": [cols.coarse, cols.levels],
        "step_m": step_m,
    }
    if frame is not None:
        lines = [np.diff(edge, axis=1, prepend=0).ravel() for edge in frame.edges if edge is not None]
        corners = [corner.ravel() for corner in frame.corners if corner is not None]
        present = "".join("01"[part is not None] for part in (*frame.edges, *frame.corners))
        if lines or corners:
            arrays["frame"] = _bytes(pack(np.concatenate([*lines, *corners])))
            spec["frame"] = {"along": frame.along, "step_m": frame.step_m, "present": present}
    return arrays, spec


def encode_network(surface: Any) -> Payload:
    """Encode a trained network (`NetworkField`); weights in half precision."""
    state = {name: tensor.detach().numpy() for name, tensor in surface.network.state_dict().items()}
    arrays = {name: array if name == "frequencies" else array.astype(_WEIGHTS_DTYPE) for name, array in state.items()}
    spec = {
        "kind": "mlp",
        "features": surface.shape.features,
        "scale": surface.shape.scale,
        "hidden": surface.shape.hidden,
        "layers": surface.shape.layers,
        "seed": surface.seed,
        "mean_m": surface.mean_m,
        "spread_m": surface.spread_m,
    }
    return arrays, spec


def encode_sum(base: Payload, residual: Payload) -> Payload:
    """Encode the sum of two representations."""
    arrays = {f"base.{k}": v for k, v in base[0].items()} | {f"residual.{k}": v for k, v in residual[0].items()}
    return arrays, {"kind": "sum", "base": base[1], "residual": residual[1]}


def decode(arrays: Mapping[str, np.ndarray], spec: Mapping[str, Any]) -> Field:
    """Decode the surface of a payload.

    Raises:
        ForeignModel: the description is incomplete, or the arrays do not fit it.
    """
    try:
        kind = spec["kind"]
        decoder = _DECODERS.get(kind)
        if decoder is None:
            raise ForeignModel(f"representation {kind!r} is unknown", remedy="use a newer version of Orograph")
        return decoder(arrays, spec)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ForeignModel(f"the model's description does not fit its arrays: {error!r}") from error


def _decode_lattice(arrays: Mapping[str, np.ndarray], spec: Mapping[str, Any]) -> Field:
    shape = (int(spec["rows"]) + DEGREE, int(spec["cols"]) + DEGREE)
    levels = unpack_lattice(arrays["code"].tobytes(), shape)
    return LatticeField(levels.astype(np.float64) * float(spec["step_m"]), "lattice", shape[0] * shape[1])


def _decode_adaptive(arrays: Mapping[str, np.ndarray], spec: Mapping[str, Any]) -> Field:
    rows, cols = Axis(*spec["rows"]), Axis(*spec["cols"])
    levels = unpack_hierarchy(arrays["code"].tobytes(), rows, cols)
    coefficients = synthesise(levels.astype(np.float64) * float(spec["step_m"]), rows, cols)
    parameters = int(np.count_nonzero(levels))
    if "frame" in spec:
        frame = _decode_frame(arrays["frame"], spec["frame"], (rows.intervals, cols.intervals))
        coefficients = frame.impose(coefficients)
        parameters += frame.parameters
    return LatticeField(coefficients, "adaptive", parameters)


def _decode_frame(code: np.ndarray, spec: Mapping[str, Any], intervals: tuple[int, int]) -> SharedFrame:
    along = int(spec["along"])
    present = [flag == "1" for flag in spec["present"]]
    lengths = [size // along + DEGREE for size in (intervals[1], intervals[1], intervals[0], intervals[0])]
    sizes = [3 * length for length in lengths] + [9] * 4
    ends = np.cumsum([size if there else 0 for size, there in zip(sizes, present, strict=True)])
    flat = unpack(code.tobytes(), int(ends[-1]))
    parts = [flat[end - size : end] if there else None for end, size, there in zip(ends, sizes, present, strict=True)]
    edges = tuple(None if p is None else np.cumsum(p.reshape(3, -1), axis=1) for p in parts[:4])
    corners = tuple(None if p is None else p.reshape(3, 3) for p in parts[4:])
    return SharedFrame(edges, corners, along, float(spec["step_m"]))


def _decode_network(arrays: Mapping[str, np.ndarray], spec: Mapping[str, Any]) -> Field:
    import torch

    from orograph.pipeline.implicit.network import FourierNet, NetworkField, NetworkShape

    shape = NetworkShape(int(spec["features"]), float(spec["scale"]), int(spec["hidden"]), int(spec["layers"]))
    network = FourierNet(shape, int(spec["seed"]))
    network.load_state_dict({name: torch.from_numpy(array.astype(np.float32)) for name, array in arrays.items()})
    return NetworkField(network, shape, int(spec["seed"]), float(spec["mean_m"]), float(spec["spread_m"]))


def _decode_sum(arrays: Mapping[str, np.ndarray], spec: Mapping[str, Any]) -> Field:
    def part(name: str) -> Field:
        inner = {k.removeprefix(f"{name}."): v for k, v in arrays.items() if k.startswith(f"{name}.")}
        return decode(inner, spec[name])

    return SumField(part("base"), part("residual"))


_DECODERS: Final = {
    "lattice": _decode_lattice,
    "adaptive": _decode_adaptive,
    "mlp": _decode_network,
    "sum": _decode_sum,
}


def _bytes(data: bytes) -> np.ndarray:
    return np.frombuffer(data, dtype=np.uint8)
