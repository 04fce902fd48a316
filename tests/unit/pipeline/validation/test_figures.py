"""Figures of errors, and whether a stated sigma covers them."""

from __future__ import annotations

import numpy as np
import pytest

from orograph.pipeline.validation import AccuracyFigures


def test_coverage_of_a_stated_sigma():
    rng = np.random.default_rng(1)
    errors = rng.normal(0, 2, 50_000)
    figures = AccuracyFigures.of(errors, np.full(errors.size, 2.0))
    assert figures.coverage_68 == pytest.approx(0.683, abs=0.01)
    assert figures.coverage_95 == pytest.approx(0.95, abs=0.01)
    assert AccuracyFigures.of(errors).coverage_68 is None
    assert figures.nmad_m == pytest.approx(2.0, abs=0.05)
