"""The catalogue of vertical operations: each pair of frames has exactly one operation or none."""

from __future__ import annotations

from difflib import get_close_matches
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Final, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from orograph.pipeline.core.frames import bundled_frames, frame_id
from orograph.pipeline.core.yaml_text import parse_yaml
from orograph.pipeline.errors import ConfigError, EpochMissing, FrameUnknown, NoVerticalOperation
from orograph.pipeline.sources.catalogue import UserGrid
from orograph.pipeline.vertical.entries import (
    ELLIPSOID,
    Frame,
    GridEntry,
    OpenDemEntry,
    OperationEntry,
    OperationMethod,
)
from orograph.pipeline.vertical.grids import GridFile, verified
from orograph.pipeline.vertical.operation import Area, Operation, Step
from orograph.pipeline.vertical.user_grid import user_step

BUNDLED: Final = Path(__file__).with_name("catalogue.yaml")
OPENDEM_ACCURACY_M: Final = 0.15
"""OpenDEM's constants: decimetre values of tilted planes; its borders met at 0.10 to 0.11 m."""

MethodName = Literal["pinned", "opendem"]
_Way = tuple[tuple[OperationEntry, bool], ...]


class VerticalCatalogue(BaseModel):
    """Frames, grids and operations; read once and immutable."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1]
    cdn: str
    frames: dict[str, Frame]
    grids: dict[str, GridEntry]
    operations: tuple[OperationEntry, ...]
    opendem: tuple[OpenDemEntry, ...] = ()

    @model_validator(mode="after")
    def _hangs_together(self) -> Self:
        ids = [entry.id for entry in self.operations]
        if len(set(ids)) != len(ids):
            raise ValueError("operation ids appear twice")
        for entry in self.operations:
            if entry.grid is not None and entry.grid not in self.grids:
                raise ValueError(f"operation {entry.id} names unknown grid {entry.grid}")
            if {entry.frame_from, entry.frame_to} - set(self.frames):
                raise ValueError(f"operation {entry.id} names an unknown frame")
            if missing := [part for part in entry.route or () if part.removeprefix("-") not in ids]:
                raise ValueError(f"route {entry.id} names unknown operations {missing}")
        pairs = [(e.frame_from, e.frame_to) for e in self.operations if not e.component]
        if repeated := {pair for pair in pairs if pairs.count(pair) > 1 or pair[::-1] in pairs}:
            raise ValueError(f"more than one operation for {sorted(repeated)}: the choice would not be pinned")
        return self

    @classmethod
    def load(cls, path: Path = BUNDLED) -> VerticalCatalogue:
        """Read a catalogue file, once per process.

        Raises:
            ConfigError: the file is missing or incomplete.
        """
        return _load(path)

    def frame(self, frame: str) -> Frame:
        """The frame of an id or name.

        Raises:
            NoVerticalOperation: several countries use this code, so a country must follow it.
            FrameUnknown: no frame has this id or name; the remedy names similar ones.
        """
        frame = frame_id(frame)
        if frame in self.frames:
            return self.frames[frame]
        by_country = sorted(known for known in self.frames if known.startswith(f"{frame}@"))
        if by_country:
            raise NoVerticalOperation(
                f"{frame} differs from country to country", remedy=f"name one of {', '.join(by_country)}"
            )
        near = get_close_matches(frame.casefold(), {known.name.casefold(): None for known in self.frames.values()}, 3)
        suggested = f"did you mean {' or '.join(near)}? " if near else ""
        raise FrameUnknown(
            f"unknown vertical frame {frame!r}", remedy=f"{suggested}`orograph height --frames` lists the known ones"
        )

    def operation(
        self,
        frame_from: str,
        frame_to: str,
        *,
        grids_dir: Path,
        user_grid: UserGrid | None = None,
        epoch: float | None = None,
        method: MethodName = "pinned",
        via: str | None = None,
    ) -> Operation:
        """Return the operation from frame to frame, with its grids verified.

        Args:
            frame_from: Frame of the heights by id or name, e.g. `EPSG:5709` or `NAP`.
            frame_to: Frame wanted, e.g. `EPSG:5621` or `EVRF2007`.
            grids_dir: Folder of the catalogue's grids.
            user_grid: The user's own grid from `frame_from` to the frame it names: a geoid leads to the ETRS89
                ellipsoid, unless the target is EVRF2019: then it contains the shift to it.
            epoch: Decimal year of the coordinates, for dynamic frames.
            method: `opendem` takes OpenDEM Europe's constant in place of the pinned operation.
            via: A frame to pass through, for two-route checks and for sharper ways within one country.

        Raises:
            NoVerticalOperation: the catalogue has none.
            GridMissing: a grid is not in the folder.
            GridCorrupt: a grid is not the pinned one.
            EpochMissing: a dynamic frame without an epoch.
        """
        frame_from, frame_to = frame_id(frame_from), frame_id(frame_to)
        if via is not None:
            via = frame_id(via)
            first = self.operation(
                frame_from, via, grids_dir=grids_dir, user_grid=user_grid, epoch=epoch, method=method
            )
            return _joined(first, self.operation(via, frame_to, grids_dir=grids_dir, epoch=epoch, method=method))
        if frame_from == frame_to:
            return Operation(frame_from, frame_to, "identity", ())
        known = [self.frame(frame) for frame in ((frame_to,) if user_grid else (frame_from, frame_to))]
        if epoch is None and any(frame.dynamic for frame in known):
            raise EpochMissing(
                f"{frame_from} to {frame_to} depends on time and no epoch is given",
                remedy="give the decimal year of the coordinates, e.g. --epoch 2012.5",
            )
        if user_grid is not None:
            return self._with_user_grid(frame_from, frame_to, user_grid, grids_dir, epoch)
        way = self._way(frame_from, frame_to) if method == "pinned" else ()
        if way:
            return self._operation(frame_from, frame_to, way, grids_dir, epoch)
        return self._opendem(frame_from, frame_to)

    def targets(self, frame_from: str) -> tuple[str, ...]:
        """Frames that heights of a frame can be transformed to, with or without installed grids."""
        frame_from = frame_id(frame_from)
        return tuple(
            frame
            for frame in self.frames
            if frame != frame_from and (self._way(frame_from, frame) or self._opendem_row(frame_from, frame))
        )

    def ways(self, frame_from: str, frame_to: str) -> tuple[str, ...]:
        """Frames that lead from one frame to another if passed through, with or without installed grids."""
        return tuple(
            frame
            for frame in self.frames
            if frame not in {frame_from, frame_to} and self._way(frame_from, frame) and self._way(frame, frame_to)
        )

    def needed_grids(self, frame_from: str, frame_to: str) -> tuple[str, ...]:
        """Names of the grids that the operation between two frames reads, installed or not."""
        way = self._way(frame_id(frame_from), frame_id(frame_to))
        return tuple(dict.fromkeys(e.grid for e, _ in way if e.grid is not None))

    def _way(self, frame_from: str, frame_to: str) -> _Way:
        """Catalogued operation, its inverse, or the pivot over the ellipsoid; empty if there is none."""
        forwards = self._direct(frame_from, frame_to)
        if forwards is not None:
            return self._flat(forwards, inverse=False)
        backwards = self._direct(frame_to, frame_from)
        if backwards is not None:
            return self._flat(backwards, inverse=True)
        up, down = self._direct(frame_from, ELLIPSOID), self._direct(frame_to, ELLIPSOID)
        if up is not None and down is not None:
            return self._flat(up, inverse=False) + self._flat(down, inverse=True)
        return ()

    def _direct(self, frame_from: str, frame_to: str) -> OperationEntry | None:
        return self._pairs.get((frame_from, frame_to))

    @cached_property
    def _pairs(self) -> dict[tuple[str, str], OperationEntry]:
        return {(entry.frame_from, entry.frame_to): entry for entry in self.operations if not entry.component}

    def _flat(self, entry: OperationEntry, *, inverse: bool) -> _Way:
        if entry.route is None:
            return ((entry, inverse),)
        parts: _Way = tuple((self._by_id(part.removeprefix("-")), part.startswith("-")) for part in entry.route)
        return tuple((part, not turned) for part, turned in reversed(parts)) if inverse else parts

    def _by_id(self, operation_id: str) -> OperationEntry:
        return next(entry for entry in self.operations if entry.id == operation_id)

    def _operation(self, frame_from: str, frame_to: str, way: _Way, grids_dir: Path, epoch: float | None) -> Operation:
        whole = self._direct(frame_from, frame_to) or self._direct(frame_to, frame_from)
        described = [entry for entry, _ in way] + ([whole] if whole is not None else [])
        steps = tuple(self._step(entry, grids_dir, inverse=inverse) for entry, inverse in way)
        return Operation(
            frame_from,
            frame_to,
            id=whole.id if whole is not None and whole.route is not None else " + ".join(s.label for s in steps),
            steps=steps,
            derived=any(entry.derived for entry in described),
            notes=tuple(dict.fromkeys(note for entry in described for note in entry.notes)),
            epoch=epoch if any(entry.method is OperationMethod.HELMERT for entry, _ in way) else None,
            surface_tolerance_m=max(entry.surface_tolerance_m for entry, _ in way),
        )

    def _step(self, entry: OperationEntry, grids_dir: Path, *, inverse: bool) -> Step:
        grid = None
        if entry.grid is not None:
            path = str((grids_dir / entry.grid).absolute())
            grid = verified(GridFile(entry.grid, path, self.grids[entry.grid].sha256))
        if entry.area is None or entry.accuracy_m is None:
            raise ConfigError(f"operation {entry.id} has no area or accuracy")
        return Step(entry.id, _proj(entry, grid), inverse, Area(*entry.area), entry.accuracy_m, grid)

    def _with_user_grid(
        self, frame_from: str, frame_to: str, user_grid: UserGrid, grids_dir: Path, epoch: float | None
    ) -> Operation:
        step, leads_to = user_step(user_grid, frame_to)
        note = f"by the user's own grid {step.id}"
        first = Operation(frame_from, leads_to, step.id, (step,), notes=(note,))
        if leads_to == frame_to:
            return first
        if self._way(leads_to, frame_to):
            return _joined(first, self.operation(leads_to, frame_to, grids_dir=grids_dir, epoch=epoch))
        if frame_from in self.frames:
            # No operation leads on to the target, so the user's grid is not part of the route.
            return self.operation(frame_from, frame_to, grids_dir=grids_dir, epoch=epoch)
        raise NoVerticalOperation(
            f"the grid {step.id} brings {frame_from} to {leads_to}, and nothing leads on from there to {frame_to}",
            remedy="choose a target with a national geoid, such as EPSG:7837 or EPSG:5720, or EPSG:4937",
        )

    def _opendem_row(self, frame_from: str, frame_to: str) -> OpenDemEntry | None:
        for row in self.opendem:
            if row.constant_cm(frame_from, frame_to) is not None:
                return row
        return None

    def _opendem(self, frame_from: str, frame_to: str) -> Operation:
        row = self._opendem_row(frame_from, frame_to)
        constant_cm = row.constant_cm(frame_from, frame_to) if row is not None else None
        if row is None or constant_cm is None:
            raise self._nothing(frame_from, frame_to)
        target = "evrf2000" if frame_to == "EPSG:5730" else "evrf2007"
        step = Step(
            f"opendem/{row.country}/{target}",
            f"+step +proj=geogoffset +dh={constant_cm / 100:.3f}",
            inverse=False,
            area=Area(*row.area),
            accuracy_m=OPENDEM_ACCURACY_M,
        )
        note = "OpenDEM Europe's constant for the whole country, no registered operation"
        return Operation(frame_from, frame_to, step.id, (step,), derived=True, notes=(note,))

    def _nothing(self, frame_from: str, frame_to: str) -> NoVerticalOperation:
        if frame_to in {"EPSG:9389", "EPSG:9390"}:
            remedy = "EVRF2019 grids have no open licence: give your own by path and sha256 as vertical_grid"
        else:
            targets, ways = self.targets(frame_from), self.ways(frame_from, frame_to)
            remedy = f"from {frame_from} these targets work: {', '.join(targets[:12])}" if targets else "give a grid"
            if ways:
                remedy = f"pass through a frame that is valid at the place with --via: {', '.join(ways)}"
        return NoVerticalOperation(f"no pinned operation leads from {frame_from} to {frame_to}", remedy=remedy)


def _proj(entry: OperationEntry, grid: GridFile | None) -> str:
    """PROJ steps of an entry, forwards: lon, lat in radians, height in metres."""
    if entry.method is OperationMethod.CONSTANT:
        return f"+step +proj=geogoffset +dh={entry.offset_m!r}"
    if entry.method is OperationMethod.SLOPE and entry.plane is not None:
        plane = entry.plane
        return (
            f"+step +proj=vertoffset +lat_0={plane.lat_0_deg!r} +lon_0={plane.lon_0_deg!r} +dh={plane.offset_m!r}"
            f" +slope_lat={plane.slope_lat_arcsec!r} +slope_lon={plane.slope_lon_arcsec!r} +ellps=GRS80"
        )
    if entry.method is OperationMethod.HELMERT:
        return f"+step +proj=cart +ellps=GRS80 +step {entry.helmert} +step +inv +proj=cart +ellps=GRS80"
    if grid is None:
        raise ConfigError(f"operation {entry.id} has no grid")
    sign = -1 if entry.method is OperationMethod.RELATIONSHIP else 1
    shift = f'+step +proj=vgridshift +grids="{grid.path}" +multiplier={sign}'
    if entry.interpolation is None:
        return shift
    old, helmert = f"+proj=cart +ellps={entry.interpolation.ellps}", entry.interpolation.helmert
    there = f"+step +proj=push +v_3 +step +proj=cart +ellps=GRS80 +step +inv {helmert} +step +inv {old}"
    back = f"+step +proj=push +v_3 +step {old} +step {helmert} +step +inv +proj=cart +ellps=GRS80"
    return f"{there} +step +proj=pop +v_3 {shift} {back} +step +proj=pop +v_3"


def _joined(first: Operation, second: Operation) -> Operation:
    steps = first.steps + second.steps
    return Operation(
        first.frame_from,
        second.frame_to,
        id=" + ".join(o.id for o in (first, second) if o.steps) or "identity",
        steps=steps,
        derived=first.derived or second.derived,
        notes=tuple(dict.fromkeys(first.notes + second.notes)),
        epoch=first.epoch if first.epoch is not None else second.epoch,
        surface_tolerance_m=max(first.surface_tolerance_m, second.surface_tolerance_m),
    )


@lru_cache(maxsize=8)
def _load(path: Path) -> VerticalCatalogue:
    try:
        document = parse_yaml(path.read_text(encoding="utf-8"))
        if isinstance(document, dict):
            document.setdefault("frames", bundled_frames())
        return VerticalCatalogue.model_validate(document)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValidationError) as error:
        raise ConfigError(f"vertical catalogue {path.name} cannot be used: {error}") from error
