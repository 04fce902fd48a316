"""Pictures and films of a fit."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from orograph.pipeline.errors import (
    ConfigError,
)
from orograph.pipeline.implicit.fit import FitOptions, Kind, fit_model
from orograph.pipeline.implicit.frames import FrameWriter, multidirectional_hillshade
from tests.support.implicit_world import box, ground


def test_pictures_of_a_fit(tmp_path: Path) -> None:
    z = ground(60, 80)
    shade = multidirectional_hillshade(z, 10.0)
    assert shade.dtype == np.uint8
    assert shade.std() > 5
    assert (multidirectional_hillshade(np.zeros((9, 9)), 10.0) == shade.dtype.type(1 + 254 * 0.5)).all()
    writer = FrameWriter(z.shape, 10.0, size_px=40)
    fit_model(z, box(60, 80), FitOptions(Kind.ADAPTIVE, 600, frames=4), on_frame=writer)
    writer.write(tmp_path / "fit.gif")
    with Image.open(tmp_path / "fit.gif") as image:
        assert image.n_frames == len(writer) == 4
        assert image.size == (40, 30)
    with pytest.raises(ConfigError):
        FrameWriter(z.shape, 10.0).write(tmp_path / "none.gif")


def test_a_film_of_a_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    av = pytest.importorskip("av", reason="PyAV (the extra `video`) is not installed")
    z = ground(62, 90)
    writer = FrameWriter(z.shape, 10.0, size_px=45)
    fit_model(z, box(62, 90), FitOptions(Kind.ADAPTIVE, 600, frames=3), on_frame=writer)
    writer.write(tmp_path / "fit.mp4", seconds=0.2)
    with av.open(str(tmp_path / "fit.mp4")) as film:
        frames = [frame.to_ndarray(format="gray") for frame in film.decode(video=0)]
    assert len(frames) == 2 * 5 + 50
    assert frames[0].shape == (32, 46)
    assert frames[-1].std() > 5
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ConfigError, match="PyAV"):
        writer.write(tmp_path / "fit.mp4")
