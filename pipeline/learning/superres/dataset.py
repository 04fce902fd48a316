"""Training pairs from any DTMs: a pyramid of native levels, all phases, the square's symmetries, folds by site."""

from __future__ import annotations

import logging
import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from scipy.ndimage import affine_transform, minimum_filter, spline_filter

from orograph.pipeline.core.raster import BoolArray, FloatArray
from orograph.pipeline.errors import ConfigError
from orograph.pipeline.learning.superres.degrade import noise, pool, thin
from orograph.pipeline.learning.superres.interpolated_ground import interpolated
from orograph.pipeline.settings import first_fault
from orograph.pipeline.sources.catalogue import Thinning
from orograph.pipeline.sources.single_raster import opened_heights
from orograph.pipeline.superres.edge_padding import with_context
from orograph.pipeline.superres.network import Condition

_LOG = logging.getLogger(__name__)
_REACH_PX = 96


class GridLevel(BaseModel):
    """One level of the pyramid: native pixels pooled by rows and columns.

    Attributes:
        rows: Native rows in one fine pixel.
        columns: Native columns in one fine pixel; a number other than `rows` gives anisotropic pixels.
        thinning: How the native pixels are pooled.
        weight: Share of this level among the site's samples.
        judged: Whether validation on the site, if held out, includes this level.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: int = Field(default=1, ge=1)
    columns: int = Field(default=1, ge=1)
    thinning: Thinning = Thinning.DECIMATED
    weight: float = Field(default=1.0, gt=0)
    judged: bool = True

    @property
    def log_aspect(self) -> float:
        """Logarithm of pixel height over width on square native pixels."""
        return math.log(self.rows / self.columns)


class Turned(BaseModel):
    """Copies of a site on grids at other angles and spacings, so that few square kilometres give many samplings.

    Attributes:
        copies: Number of copies.
        least: Least spacing in native pixels; below about 1.5 a copy is smoother than terrain sampled at its spacing.
        most: Greatest spacing in native pixels.
        share: Share of the copies among the site's samples.
        stretch: Largest factor by which the spacing along one drawn direction is increased.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    copies: int = Field(default=12, ge=1)
    least: float = Field(default=1.5, ge=1)
    most: float = Field(default=2.5, ge=1)
    share: float = Field(default=0.4, gt=0, lt=1)
    stretch: float = Field(default=1.0, ge=1, le=3)


class SiteSpec(BaseModel):
    """One training site: path of its heights, their licence, and their weight.

    Attributes:
        name: Site, the unit of folds.
        file: Raster below the data folder; single band, metres.
        licence: Licence of the data.
        attribution: Text that its licence requires.
        weight: Share of the site among all samples.
        chip_px: Side of independent chips the raster is a mosaic of, or none.
        levels: Pyramid.
        turned: Copies on turned grids, or none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    file: str
    licence: str
    attribution: str
    weight: float = Field(default=1.0, gt=0)
    chip_px: int | None = Field(default=None, gt=0)
    levels: tuple[GridLevel, ...] = (GridLevel(),)
    turned: Turned | None = None


class SiteList(BaseModel):
    """The sites of a training run, as written in its YAML file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sites: tuple[SiteSpec, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _unique(self) -> Self:
        names = [site.name for site in self.sites]
        if len(set(names)) != len(names):
            raise ValueError("two sites share a name")
        return self

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a YAML list.

        Raises:
            ConfigError: The file does not parse or contains unknown fields.
        """
        try:
            return cls.model_validate(yaml.safe_load(path.read_text()))
        except OSError as error:
            raise ConfigError(f"no list of training sites at {path}: {error.strerror}") from error
        except (ValidationError, yaml.YAMLError, UnicodeDecodeError) as error:
            why = first_fault(error) if isinstance(error, ValidationError) else " ".join(str(error).split())
            raise ConfigError(
                f"{path} is not a list of training sites: {why}",
                remedy="see pipeline/learning/superres/sites.yaml for an example",
            ) from error

    @classmethod
    def gather(cls, path: Path | None, dtms: Sequence[Path], bundled: str = "sites.yaml") -> Self:
        """Return the sites of a YAML list and of individual DTMs; the bundled list if neither is given.

        Raises:
            ConfigError: The list cannot be read, or two sites share a name.
        """
        sites: list[SiteSpec] = []
        if path is not None or not dtms:
            sites += cls.read(path or Path(__file__).with_name(bundled)).sites
        sites += [
            SiteSpec(
                name=dtm.stem,
                file=str(dtm.resolve()),
                licence="given by the user",
                attribution="given by the user",
                levels=(
                    GridLevel(weight=2),
                    GridLevel(rows=2, columns=2),
                    GridLevel(rows=2, columns=2, thinning=Thinning.AVERAGED),
                ),
            )
            for dtm in dtms
        ]
        try:
            return cls(sites=tuple(sites))
        except ValidationError as error:
            raise ConfigError(first_fault(error), remedy="give each raster once, under a unique name") from error

    def without(self, held_out: Sequence[str]) -> Self:
        """The list less the sites held out for validation.

        Raises:
            ConfigError: A held-out name is not in the list, or none would remain.
        """
        unknown = set(held_out) - {site.name for site in self.sites}
        if unknown:
            raise ConfigError(f"no site is called {', '.join(sorted(unknown))}")
        left = tuple(site for site in self.sites if site.name not in held_out)
        if not left:
            raise ConfigError("every site is held out")
        return self.model_copy(update={"sites": left})


@dataclass(frozen=True, slots=True, eq=False)
class Site:
    """A site's heights in memory: chips of float32 (or int16) heights, voids continued, and their validity."""

    spec: SiteSpec
    heights_m: tuple[FloatArray, ...]
    valid: tuple[BoolArray, ...]


def read_heights(path: Path) -> FloatArray:
    """Read the heights of a file, float32 metres with NaN for void.

    Raises:
        SourceMissing, SourceCorrupt, BandMismatch, SourceGridError: See `opened_heights`.
        NodataError: The heights contain values that can only be undeclared voids.
    """
    with opened_heights(path) as raster:
        return raster.read_all()


def load_site(spec: SiteSpec, root: Path) -> Site:
    """Read a site, cut its chips, and continue its voids so that filters have context.

    Terrain that was interpolated by its provider becomes void, and a warning is logged.
    """
    whole = read_heights(root / spec.file)
    measured = np.isfinite(whole)
    drawn_out = interpolated(whole, measured)
    if drawn_out.any():
        share = 100.0 * drawn_out.sum() / measured.sum()
        _LOG.warning("%s: %.0f %% of its terrain was interpolated by the provider and is excluded", spec.name, share)
        whole[drawn_out] = np.nan
    chips, masks = [], []
    side = spec.chip_px or max(whole.shape)
    for row in range(0, whole.shape[0], side):
        for column in range(0, whole.shape[1], side):
            part = whole[row : row + side, column : column + side]
            valid = np.isfinite(part)
            if valid.mean() < 0.5:
                continue
            if not valid.all():
                filled = with_context(np.ascontiguousarray(part), _REACH_PX)[0]
                part = filled[_REACH_PX:-_REACH_PX, _REACH_PX:-_REACH_PX].astype(np.float32)
            chips.append(np.ascontiguousarray(part))
            masks.append(valid)
    return Site(spec, tuple(chips), tuple(masks))


def turned_copies(site: Site, seed: int) -> Site | None:
    """Resample a site to grids of drawn angles, spacings and offsets; None if its specification has no copies.

    Heights between samples come from a cubic spline; pixels whose support touches continued voids are void.
    """
    turned = site.spec.turned
    if turned is None:
        return None
    rng = np.random.default_rng((seed, zlib.crc32(site.spec.name.encode())))
    chips, masks = [], []
    for heights, valid in zip(site.heights_m, site.valid, strict=True):
        smooth = spline_filter(heights.astype(np.float64), order=3)
        sound = minimum_filter(valid, size=9, mode="constant", cval=0).astype(np.float32)
        for _ in range(turned.copies):
            spacing = turned.least * (turned.most / turned.least) ** rng.random()
            angle = rng.uniform(0.0, math.pi / 2.0)
            turn = spacing * np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
            turn = _stretched(turned.stretch, rng) @ turn
            extent = np.array(heights.shape)
            side = math.ceil(float(np.hypot(*extent)) / spacing)
            offset = (extent - 1) / 2.0 + rng.uniform(-0.5, 0.5, 2) - turn @ np.array([side / 2.0, side / 2.0])
            grid = {"matrix": turn, "offset": offset, "output_shape": (side, side), "mode": "nearest"}
            inside = {**grid, "mode": "constant", "cval": 0.0}
            chips.append(affine_transform(smooth, order=3, prefilter=False, **grid).astype(np.float32))
            masks.append(affine_transform(sound, order=0, **inside) == 1.0)
    spec = site.spec.model_copy(
        update={"turned": None, "levels": (GridLevel(),), "weight": site.spec.weight * turned.share, "chip_px": None}
    )
    return Site(spec, tuple(chips), tuple(masks))


def _stretched(most: float, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """A map that draws space out along a random direction, by up to so much."""
    if most == 1.0:
        return np.eye(2)
    along = rng.uniform(0.0, math.pi)
    axis = np.array([math.cos(along), math.sin(along)])
    return np.asarray(np.eye(2) + (most ** rng.random() - 1.0) * np.outer(axis, axis))


@dataclass(frozen=True, slots=True)
class Mix:
    """Shares of batches by thinning mode, noise and footprint.

    Attributes:
        averaged: Batches in averaged mode; the rest is decimated.
        noisy: Batches with noise on the coarse heights.
        wide: Averaged batches whose footprint is wider than the pixel.
        wrong: Batches declared to be of the other mode, with noise-free truth as target.
    """

    averaged: float = 0.45
    noisy: float = 0.12
    wide: float = 0.1
    wrong: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Pairs of coarse and fine patches that share a condition.

    Attributes:
        coarse: float32, shape (batch, 1, rows, columns), metres above each patch's own whole-metre reference.
        fine: float32, shape (batch, 1, rows * factor, columns * factor).
        valid: Where `fine` was measured.
        noise_m: Noise level by sample, or None.
        condition: Conditions shared by the batch.
    """

    coarse: FloatArray
    fine: FloatArray
    valid: BoolArray
    noise_m: FloatArray | None
    condition: Condition


class Sampler:
    """Draws batches; deterministic by seed and step, so that a resumed run draws the same batches.

    Args:
        sites: Sites in memory.
        factor: Fine pixels along a coarse pixel's side.
        patch_px: Side of a patch in coarse pixels.
        batch: Patches in a batch.
        mix: Shares of modes, noise and footprints.
        seed: Seed of the run.

    Attributes:
        idle: Names of sites too small for a patch at any level; training does not use them.
    """

    def __init__(self, sites: Sequence[Site], factor: int, patch_px: int, batch: int, mix: Mix, seed: int) -> None:
        self.sites, self.factor, self.patch_px, self.batch, self.mix, self.seed = (
            tuple(sites), factor, patch_px, batch, mix, seed,
        )  # fmt: skip
        self._places: dict[float, tuple[list[tuple[int, int, GridLevel]], np.ndarray]] = {}
        shares: dict[float, list[tuple[int, int, GridLevel, float]]] = {}
        for index, site in enumerate(self.sites):
            total = sum(level.weight for level in site.spec.levels)
            for level in site.spec.levels:
                need = factor * patch_px
                fits = [
                    i
                    for i, chip in enumerate(site.heights_m)
                    if chip.shape[0] >= need * level.rows and chip.shape[1] >= need * level.columns
                ]
                for chip in fits:
                    share = site.spec.weight * level.weight / total / len(fits)
                    shares.setdefault(round(abs(level.log_aspect), 6), []).append((index, chip, level, share))
        if not shares:
            raise ConfigError(f"no site contains a patch of {factor * patch_px} pixels")
        used = {self.sites[index].spec.name for entries in shares.values() for index, *_ in entries}
        self.idle = tuple(dict.fromkeys(site.spec.name for site in self.sites if site.spec.name not in used))
        self._aspects = sorted(shares)
        sums = np.array([sum(share for *_, share in shares[a]) for a in self._aspects])
        self._aspect_share = sums / sums.sum()
        for aspect, entries in shares.items():
            each = np.array([entry[3] for entry in entries])
            self._places[aspect] = ([entry[:3] for entry in entries], np.cumsum(each / each.sum()))

    def draw(self, step: int) -> Batch:
        """The batch of that step."""
        rng = np.random.default_rng((self.seed, step))
        averaged = rng.random() < self.mix.averaged
        thinning = Thinning.AVERAGED if averaged else Thinning.DECIMATED
        aspect = self._aspects[int(rng.choice(len(self._aspects), p=self._aspect_share))]
        noisy = rng.random() < self.mix.noisy
        width = 1.0 + 0.4 * rng.random() if averaged and rng.random() < self.mix.wide else 1.0
        tall = bool(rng.random() < 0.5)
        drawn = [self._patch(rng, aspect, tall) for _ in range(self.batch)]
        fine = np.stack([patch for patch, _ in drawn])
        coarse = np.stack([thin(patch, self.factor, thinning, width) for patch in fine])
        noise_m = self._add_noise(coarse, rng) if noisy else None
        declared = thinning
        if rng.random() < self.mix.wrong:
            declared = Thinning.DECIMATED if averaged else Thinning.AVERAGED
        condition = Condition(declared, aspect if tall else -aspect, consistent=not noisy)
        return Batch(
            coarse[:, None], fine[:, None], np.stack([valid for _, valid in drawn])[:, None], noise_m, condition
        )

    def unseen(self, step: int) -> Batch:
        """Draw native pixels as coarse samples; no fine truth exists for them, only a teacher's estimate.

        `fine` is flat until a teacher fills it.
        """
        rng = np.random.default_rng((self.seed, step, 1))
        thinning = Thinning.AVERAGED if rng.random() < self.mix.averaged else Thinning.DECIMATED
        aspect = self._aspects[int(rng.choice(len(self._aspects), p=self._aspect_share))]
        tall = bool(rng.random() < 0.5)
        shape = (self.batch, 1, self.patch_px, self.patch_px)
        coarse, valid = np.empty(shape, np.float32), np.empty(shape, np.bool_)
        for k in range(self.batch):
            heights, mask = self._patch(rng, aspect, tall)
            row, column = (int(rng.integers(side - self.patch_px + 1)) for side in heights.shape)
            window = (slice(row, row + self.patch_px), slice(column, column + self.patch_px))
            coarse[k, 0] = heights[window] - np.float32(np.rint(heights[window].mean()))
            valid[k, 0] = mask[window]
        known = valid.repeat(self.factor, axis=2).repeat(self.factor, axis=3)
        return Batch(
            coarse, np.zeros(known.shape, np.float32), known, None, Condition(thinning, aspect if tall else -aspect)
        )

    def _patch(self, rng: np.random.Generator, aspect: float, tall: bool) -> tuple[FloatArray, BoolArray]:
        places, cumulated = self._places[aspect]
        for _ in range(64):
            index, chip, level = places[min(int(np.searchsorted(cumulated, rng.random())), len(places) - 1)]
            heights, valid = self.sites[index].heights_m[chip], self.sites[index].valid[chip]
            side = self.factor * self.patch_px
            rows, columns = side * level.rows, side * level.columns
            row = int(rng.integers(heights.shape[0] - rows + 1))
            column = int(rng.integers(heights.shape[1] - columns + 1))
            mask = valid[row : row + rows, column : column + columns]
            if mask.mean() >= 0.7:
                break
        window = heights[row : row + rows, column : column + columns]
        phase = (0, 0)
        fine = pool(window, level.rows, level.columns, level.thinning, phase)
        mask = pool(mask.astype(np.float32), level.rows, level.columns, level.thinning, phase) == 1.0
        fine = (fine - np.float32(np.rint(fine.mean()))).astype(np.float32)
        # Tall pixels cover more terrain per row; a rotation by a right angle exchanges tall and wide.
        turns = 2 * int(rng.integers(2)) + (0 if (level.rows >= level.columns) == tall else 1)
        if aspect == 0.0:
            turns = int(rng.integers(4))
        fine, mask = np.rot90(fine, turns), np.rot90(mask, turns)
        if rng.random() < 0.5:
            fine, mask = fine[:, ::-1], mask[:, ::-1]
        return np.ascontiguousarray(fine), np.ascontiguousarray(mask)

    def _add_noise(self, coarse: FloatArray, rng: np.random.Generator) -> FloatArray:
        """Noise in units of local roughness, so that homogeneity stays; half of it correlated."""
        roughness = np.abs(np.diff(coarse, n=2, axis=1)).mean(axis=(1, 2)) + 1e-3
        level = (roughness * rng.uniform(0.05, 0.6, len(coarse))).astype(np.float32)
        correlated = bool(rng.random() < 0.5)
        for i, sigma in enumerate(level):
            coarse[i] += sigma * noise((coarse.shape[1], coarse.shape[2]), correlated, rng)
        return level
