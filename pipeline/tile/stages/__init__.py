"""The stages a window of a tile passes, one file each, pure functions.

Adding one is a file, a line in `STAGES`, its name in the settings' list, and its tests.
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
        ConfigError: a name no stage has.
    """
    for name in names:
        if name not in STAGES:
            raise ConfigError(f"unknown stage {name!r}", remedy=f"known are {', '.join(STAGES)}")
    return tuple(STAGES[name] for name in names)


__all__ = ["STAGES", "Context", "Layer", "Stage", "TileReader", "TileWindow", "chain"]
