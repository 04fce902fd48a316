"""Prepares a tile's sources (vertical shift, alignment, super-resolution) and reads them window by window.

Order of steps, per source: checks of header and values; vertical operation to the target frame (known and
deterministic, so it comes before coregistration, which would absorb a wrong datum); horizontal shift against the tile's
best source, estimated on a bounded sample; super-resolution on the source's own grid where it is coarser than the
target; then one interpolation, which includes the shift and the vertical delta.
"""

from __future__ import annotations

import math
from collections.abc import Mapping as MappingABC
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import numpy as np
from odc.geo.geobox import GeoBox

from orograph.pipeline.bare_earth.canopy_error import canopy_reader
from orograph.pipeline.bare_earth.filters import FUSION
from orograph.pipeline.bare_earth.reader import GroundReader, model_for
from orograph.pipeline.bare_earth.terrain_reader import TerrainReader
from orograph.pipeline.core.weights_uri import Read
from orograph.pipeline.errors import OutsideAreaOfUse
from orograph.pipeline.job import Job
from orograph.pipeline.resampling.node_grid import NodeGrid, NodeMapping, Target
from orograph.pipeline.settings import ProcessingSettings
from orograph.pipeline.sources.catalogue import Source
from orograph.pipeline.sources.partial import RasterFile
from orograph.pipeline.sources.refs import SourceRef
from orograph.pipeline.sources.sensor import NET_RESOLVER
from orograph.pipeline.superres import takes_options, takes_sensor
from orograph.pipeline.superres.choice import AUTO, upsampling_of
from orograph.pipeline.superres.zoom import zoom_of
from orograph.pipeline.tile.errors import local_reach_px
from orograph.pipeline.tile.memory import tile_halo_px
from orograph.pipeline.tile.prepared_source import PreparedSource, SamplingPlan, pinned
from orograph.pipeline.tile.seamless_reader import SeamlessReader
from orograph.pipeline.tile.stages.stage import Layer
from orograph.pipeline.vertical import Operation, VerticalCatalogue, delta_surface

HALO_M: Final = 5_000.0
"""Smallest margin around a tile within which its sources are read for estimation and halos."""


class TileAssembly:
    """All sources of a job, open for reading; a context manager that closes their files.

    Args:
        job: The job.
        paths: Local files or sparse copies of each source, by source id, in the order of the job's file references.
        grids_dir: Folder of geoid grids.
        weights: Reads models that are neither bundled nor local files.
    """

    def __init__(
        self,
        job: Job,
        paths: MappingABC[str, Sequence[RasterFile]],
        grids_dir: Path,
        weights: Read | None = None,
    ) -> None:
        self.job = job
        self._weights = weights
        west, south, east, north = job.tile.bounds_m
        reach_m = max(
            HALO_M,
            (tile_halo_px(job) + local_reach_px(resampled=True, horizontal_m=1.0) + 2) * job.settings.pixel_size_m,
        )
        self._reach = (west - reach_m, south - reach_m, east + reach_m, north + reach_m)
        self.nodes = NodeGrid.around(self._reach)
        self._stack = ExitStack()
        self.sources: list[PreparedSource] = []
        self._readers: dict[str, SeamlessReader] = {}
        self.rejected: list[OutsideAreaOfUse] = []
        try:
            for number, ref in enumerate(job.sources, start=1):
                prepared = self._prepare(number, ref, paths, grids_dir)
                if prepared is not None:
                    self.sources.append(prepared)
        except BaseException:
            self._stack.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def layers(self, geobox: GeoBox) -> tuple[Layer, ...]:
        """Layers with data in the window, best first; sources entirely covered by better ones are not read."""
        target = Target.of(geobox)
        found: list[Layer] = []
        covered = np.zeros((target.rows, target.cols), bool)
        for source in self.sources:
            layer = source.layer(target)
            if layer is not None:
                found.append(layer)
                covered |= layer.valid
                if covered.all():
                    break
        return tuple(found)

    def has_better(self, index: int, geobox: GeoBox) -> bool:
        """Whether a source better than that of an index has heights in a window."""
        target = Target.of(geobox)
        return any(source.layer(target) is not None for source in self.sources if source.index < index)

    @property
    def bytes_read(self) -> int:
        """Bytes of samples read so far."""
        return sum(reader.bytes_read for reader in self._readers.values())

    def _reader(self, ref: SourceRef, paths: MappingABC[str, Sequence[RasterFile]]) -> SeamlessReader:
        """The reader of a source, opened once: a DSM may read a later source as its terrain model."""
        name = ref.source.id
        if name not in self._readers:
            self._readers[name] = self._stack.enter_context(SeamlessReader(ref.source, paths[name]))
        return self._readers[name]

    def _operation(self, source: Source, grids_dir: Path) -> Operation:
        return VerticalCatalogue.load().operation(
            source.vertical_frame,
            self.job.settings.target_frame,
            grids_dir=grids_dir,
            user_grid=source.vertical_grid,
            epoch=source.epoch,
        )

    def _terrain(
        self, ref: SourceRef, paths: MappingABC[str, Sequence[RasterFile]], grids_dir: Path
    ) -> TerrainReader | None:
        """The reader of the terrain model below a DSM, if the job has one."""
        found = self.job.terrain(ref.source)
        if found is None:
            return None
        below = next(one for one in self.job.sources if one.source.id == found.id)
        operations = tuple(self._operation(one.source, grids_dir) for one in (below, ref))
        return TerrainReader(self._reader(below, paths), pinned(below), pinned(ref), (operations[0], operations[1]))

    def _prepare(
        self, number: int, ref: SourceRef, paths: MappingABC[str, Sequence[RasterFile]], grids_dir: Path
    ) -> PreparedSource | None:
        source, settings = ref.source, self.job.settings
        reader, operation = self._reader(ref, paths), self._operation(source, grids_dir)
        try:
            surface = delta_surface(operation, self.nodes.extent, spacing_m=self.nodes.spacing_m)
            if (adjustment := dict(settings.adjustments).get(source.id)) is not None:
                surface = surface.adjusted(adjustment)
        except OutsideAreaOfUse as error:
            # Another source may cover the tile; if none does, this is the error the tile ends with.
            self.rejected.append(error.at(tile=self.job.tile.id, source=source.id, stage="vertical"))
            return None
        # A rough geoid asks for a denser lattice than projections do.
        nodes = NodeGrid.around(self._reach, surface.step_x)
        delta = surface.nodes_m[: nodes.rows, : nodes.cols]
        record = surface.record(source.id)
        terrain = self._terrain(ref, paths, grids_dir)
        model = model_for(source, settings.bare_earth, settings.pixel_size_m, fused=terrain is not None)
        ground = None
        if model is not None:
            arithmetic = settings.device, settings.bare_earth_precision
            terrain = terrain if model == FUSION else None
            ground = GroundReader(reader, model, source.land_cover, terrain, *arithmetic, self._weights)
        multiple = 1 if ground is None else ground.multiple
        chosen = upsampling_of(source, settings).name
        return PreparedSource(
            index=number,
            ref=ref,
            reader=reader,
            delta_m=delta,
            operation=record,
            plan=SamplingPlan.of(
                reader.lattices,
                source.resolution_m,
                settings.pixel_size_m,
                chosen,
                multiple,
                fetch=self._weights,
                stated=source.sensor,
                **_options(ref, chosen, settings),
            ),
            mapping=NodeMapping.build(nodes, pinned(ref), delta),
            sigma_m=math.hypot(_systematic_m(ref, chosen, settings), record.accuracy_m, settings.rounding_m),
            ground=ground,
            canopy=None if ground is not None else canopy_reader(source, reader),
            horizontal_m=source.horizontal_accuracy_m,
        )


def _systematic_m(ref: SourceRef, superres: str, settings: ProcessingSettings) -> float:
    """A source's accuracy without the noise that its upsampling states separately, metres."""
    accuracy, averaged_down = ref.source.accuracy_m, settings.pixel_size_m >= 2.0 * ref.source.resolution_m
    if ref.source.sensor is not None and not averaged_down:
        return math.sqrt(max(accuracy**2 - ref.source.sensor.typical_variance, 0.0))
    uses_noise = takes_sensor(superres) or takes_options(superres)
    if ref.source.noise_m and uses_noise and zoom_of(ref.source.resolution_m, settings.pixel_size_m) > 1:
        return math.sqrt(max(accuracy**2 - ref.source.noise_m**2, 0.0))
    return accuracy


def _options(ref: SourceRef, superres: str, settings: ProcessingSettings) -> dict[str, Any]:
    """Return the resolver options from settings and source; interpolants do not use a source's noise."""
    if takes_sensor(superres):
        chosen = {} if settings.superres != superres else settings.superres_options
        device = {"device": settings.device} if superres == NET_RESOLVER and settings.device != "cpu" else {}
        return chosen | device | {"sensor": ref.sensor}
    if not takes_options(superres):
        return {} if settings.superres == AUTO else settings.superres_options
    noise = {"noise_m": ref.source.noise_m} if ref.source.noise_m else {}
    device = {"device": settings.device} if settings.device != "cpu" else {}
    return settings.superres_options | noise | device
