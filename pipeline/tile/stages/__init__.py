"""The stages of a tile's windows: pure functions, one file each.

A new stage needs a file, a line in `STAGES`, its name in the list of the settings, and tests.
"""

from typing import Final

from orograph.pipeline.errors import ConfigError
from orograph.pipeline.tile.stages.blend import Blend
from orograph.pipeline.tile.stages.fill import Fill
from orograph.pipeline.tile.stages.regrid import Regrid
from orograph.pipeline.tile.stages.stage import Context, Layer, Stage, TileReader, TileWindow

STAGES: Final[dict[str, Stage]] = {"regrid": Regrid(), "blend": Blend(), "fill": Fill()}


def chain(names: tuple[str, ...]) -> tuple[Stage, ...]:
    """The stages of a settings' list, in its order.

    Raises:
        ConfigError: no stage has this name.
    """
    for name in names:
        if name not in STAGES:
            raise ConfigError(f"unknown stage {name!r}", remedy=f"known are {', '.join(STAGES)}")
    return tuple(STAGES[name] for name in names)


__all__ = ["STAGES", "Context", "Layer", "Stage", "TileReader", "TileWindow", "chain"]
