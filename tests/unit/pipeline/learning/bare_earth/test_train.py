"""Training of the bare-earth network continues from its checkpoint."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from orograph.pipeline.errors import ForeignModel
from tests.support.surface_sites import quick


def test_a_training_goes_on_from_its_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orograph.pipeline.learning.bare_earth.train._KEEP_EVERY", 2)
    kept = tmp_path / "state.ckpt"
    whole = quick(steps=3, checkpoint=kept)
    assert kept.is_file()
    resumed = quick(steps=3, checkpoint=kept)
    first, second = (model.network.state_dict() for model in (whole, resumed))
    assert all(np.allclose(first[name], second[name], atol=1e-6) for name in first)
    with pytest.raises(ForeignModel, match="other options"):
        quick(steps=4, checkpoint=kept)
    kept.write_bytes(b"no checkpoint")
    with pytest.raises(ForeignModel, match="not a training checkpoint"):
        quick(steps=3, checkpoint=kept)
