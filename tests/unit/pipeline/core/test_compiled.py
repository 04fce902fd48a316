"""Kernels compile with or without a place for the cache."""

import numpy as np
import pytest
from numba.core import caching

from orograph.pipeline.core.compiled import compiled


def _total(values):
    total = 0.0
    for value in values:
        total += value
    return total


@pytest.mark.parametrize("writable", [True, False])
def test_a_compiled_function_gives_the_same_answer_without_a_cache_folder_too(monkeypatch, writable):
    if not writable:
        monkeypatch.setattr(caching.CacheImpl, "_locator_classes", [])
    values = np.array([1.5, -2.0, 4.0])
    kernel = compiled(_total)
    assert kernel(values) == _total(values) == 3.5
    assert kernel.signatures
