"""The kernels in use: numpy's only inside a block, for small rasters, before compilation."""

import pytest

from orograph.pipeline.coregistration import cpu_kernels as module
from orograph.pipeline.coregistration import kernels, numpy_kernels


@pytest.mark.parametrize(
    ("compiled", "pixels", "by_numpy"),
    [(False, 100, True), (False, module.MOST_PIXELS + 1, False), (True, 100, False)],
)
def test_numpy_serves_small_rasters_until_the_kernels_are_compiled(monkeypatch, compiled, pixels, by_numpy):
    monkeypatch.setattr(module, "compiled_before", lambda: compiled)
    with module.before_compiled(pixels) as used:
        assert used is by_numpy is module.by_numpy()
        assert module.cpu_kernels() is (numpy_kernels if by_numpy else kernels)
    assert module.cpu_kernels() is kernels


def test_the_choice_ends_with_an_error_too(monkeypatch):
    monkeypatch.setattr(module, "compiled_before", lambda: False)
    with pytest.raises(KeyError), module.before_compiled(1):
        raise KeyError
    assert not module.by_numpy()


def test_both_modules_offer_the_kernels_that_are_used():
    for name in ("evaluate", "north_range", "resample", "thin_rows", "despike"):
        assert callable(getattr(numpy_kernels, name))
    for name in ("evaluate", "north_range", "resample", "accumulate", "warp", "residuals"):
        assert callable(getattr(kernels, name))
