"""Fixtures of this folder: made training sites and short plans, for tests of super-resolution training."""

from __future__ import annotations

import pytest


@pytest.fixture
def quick_bases(monkeypatch):
    from orograph.pipeline.learning.superres import train

    fit = train.fit_bases
    monkeypatch.setattr(train, "fit_bases", lambda sampler: fit(sampler, draws=6))
