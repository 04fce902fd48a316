"""A device that is not there is one clear error, and CUDA is told to repeat itself."""

from __future__ import annotations

import contextlib

import pytest
import torch

from orograph.pipeline.core.torch_device import torch_device
from orograph.pipeline.errors import ConfigError


def test_the_processor_is_always_there():
    assert torch_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("name", ["cuda:77", "toaster"])
def test_a_device_that_is_not_there_is_refused(name):
    with pytest.raises(ConfigError, match=f"no device '{name}'") as caught:
        torch_device(name)
    assert "processor" in caught.value.remedy


def test_cuda_is_asked_for_deterministic_algorithms(monkeypatch):
    backend = torch.backends.cudnn
    for name, value in (("benchmark", True), ("deterministic", False), ("allow_tf32", True)):
        monkeypatch.setattr(backend, name, value)
    torch_device("cpu")
    assert (backend.benchmark, backend.deterministic, backend.allow_tf32) == (True, False, True)
    with contextlib.suppress(ConfigError):
        torch_device("cuda:0")
    assert (backend.benchmark, backend.deterministic, backend.allow_tf32) == (False, True, False)
