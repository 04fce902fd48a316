"""Methods by name: `vertical-shift`, `nuth-kaab`, `deramp(2)`, `affine`, sums of them, and `blockwise(...)`.

A sum is estimated jointly: its terms are the union of its parts' terms. If the parts ran one after another, a ramp
would leak into the shift.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from orograph.pipeline.errors import ConfigError

EAST, NORTH, UP = 0, 1, 2

Term = tuple[int, int]
"""Component of the displacement and monomial of (u, v): 1, u, v, u2, uv, v2."""

_UP_BY_ORDER: Final = {0: (0,), 1: (0, 1, 2), 2: (0, 1, 2, 3, 4, 5)}
_TERMS: Final[dict[str, tuple[Term, ...]]] = {
    "vertical-shift": ((UP, 0),),
    "nuth-kaab": ((EAST, 0), (NORTH, 0), (UP, 0)),
    "affine": tuple((component, k) for component in (EAST, NORTH, UP) for k in (0, 1, 2)),
}
_KNOWN: Final = "vertical-shift, nuth-kaab, deramp(0..2), affine, a+b, blockwise(a+b, block=1000)"
_PART: Final = re.compile(r"([a-z-]+)(?:\((\d)\))?")
_BLOCKWISE: Final = re.compile(r"blockwise(?:\((.*)\))?")
_BLOCK: Final = re.compile(r"block=(\d+(?:\.\d+)?)")


@dataclass(frozen=True, slots=True)
class Method:
    """A coregistration method: the estimated terms.

    Attributes:
        name: Canonical name; `parse_method(name)` gives the same method.
        terms: Polynomial terms of the displacement, estimated jointly over the whole.
        blockwise: Whether a smooth field of block displacements is estimated on top.
        block_m: Side of a block in metres; None for 50 pixels.
    """

    name: str
    terms: tuple[Term, ...]
    blockwise: bool = False
    block_m: float | None = None

    @property
    def horizontal(self) -> bool:
        """Whether the method estimates horizontal displacements."""
        return any(component != UP for component, _ in self.terms)


def _parts(text: str) -> tuple[str, tuple[Term, ...]]:
    """Canonical name and terms of a sum of named parts."""
    names: list[str] = []
    terms: set[Term] = set()
    for part in text.split("+"):
        match = _PART.fullmatch(part)
        if match is None:
            raise ConfigError(f"not a coregistration method: {part!r}", remedy=f"use {_KNOWN}")
        name, order = match[1], match[2]
        if name == "deramp":
            if int(order or 1) not in _UP_BY_ORDER:
                raise ConfigError(f"unknown deramp order {order}", remedy="use an order of 0, 1 or 2")
            terms.update((UP, k) for k in _UP_BY_ORDER[int(order or 1)])
            names.append(f"deramp({order or 1})")
        elif name in _TERMS and order is None:
            terms.update(_TERMS[name])
            names.append(name)
        else:
            raise ConfigError(f"not a coregistration method: {part!r}", remedy=f"use {_KNOWN}")
    return "+".join(names), tuple(sorted(terms))


def parse_method(text: str) -> Method:
    """Parse a method's name; blanks are ignored.

    Raises:
        ConfigError: the name is unknown or an option has a bad value.
    """
    compact = re.sub(r"\s+", "", text.lower())
    match = _BLOCKWISE.fullmatch(compact)
    if match is None:
        name, terms = _parts(compact)
        return Method(name, terms)
    *inner, last = (match[1] or "nuth-kaab").split(",")
    option = _BLOCK.fullmatch(last)
    if option is None:
        inner.append(last)
    if len(inner) > 1:
        raise ConfigError(f"unknown option in {text!r}", remedy=f"use {_KNOWN}")
    name, terms = _parts(inner[0] if inner else "nuth-kaab")
    block_m = float(option[1]) if option else None
    if block_m is not None and block_m <= 0:
        raise ConfigError(
            f"invalid block side: {block_m} m", remedy="give the side of a block in metres, such as block=1000"
        )
    canonical = f"blockwise({name})" if block_m is None else f"blockwise({name},block={block_m:g})"
    return Method(canonical, terms, blockwise=True, block_m=block_m)
