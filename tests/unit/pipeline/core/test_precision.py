"""Half precision is used where torch reports its convolutions as supported, and nowhere else."""

from __future__ import annotations

import pytest
import torch

from orograph.pipeline.core import precision as module
from orograph.pipeline.core.precision import (
    autocast,
    body_dtype,
    check_trainable,
    checked_precision,
    supported_precisions,
    used_precision,
)
from orograph.pipeline.core.processor import CAPS, instruction_caps
from orograph.pipeline.errors import ConfigError


@pytest.mark.parametrize("device", ["cpu", "cuda", "mps", "privateuseone"])
def test_single_precision_is_computed_everywhere(device):
    assert used_precision("fp32", device) == "fp32"
    assert body_dtype("fp32", device) is torch.float32


@pytest.mark.parametrize("supported", [True, False])
def test_half_precision_is_what_the_processor_has(monkeypatch, supported):
    monkeypatch.setattr(module, "_convolves_in", lambda _precision, _device: supported)
    assert body_dtype("bf16", "cpu") is (torch.bfloat16 if supported else torch.float32)
    assert body_dtype("fp16", "cpu") is (torch.float16 if supported else torch.float32)
    assert supported_precisions("cpu") == (("fp32", "tf32", "bf16", "fp16") if supported else ("fp32",))
    with autocast("bf16"):
        product = torch.ones(2, 2) @ torch.ones(2, 2)
    assert product.dtype is (torch.bfloat16 if supported else torch.float32)


def test_devices_nothing_is_known_of_and_builds_without_onednn_compute_in_single_precision(monkeypatch):
    assert supported_precisions("privateuseone") == ("fp32",)
    monkeypatch.setattr(module, "_has_onednn", lambda: False)
    assert supported_precisions("cpu") == ("fp32",)
    assert not module.has_fused_convolutions("cpu")


def test_what_torch_says_of_this_processor_is_what_its_convolutions_do():
    planes = torch.ones(1, 8, 8, 8).to(memory_format=torch.channels_last)
    for precision, dtype in (("bf16", torch.bfloat16), ("fp16", torch.float16)):
        fused = torch.ops.mkldnn._convolution_pointwise
        arguments = (None, [0, 0], [1, 1], [1, 1], 1, "none", [], "")
        if precision in supported_precisions("cpu"):
            assert fused(planes.to(dtype), torch.ones(8, 8, 3, 3, dtype=dtype), *arguments).dtype is dtype
        else:
            with pytest.raises(RuntimeError, match="needs the cpu support"):
                fused(planes.to(dtype), torch.ones(8, 8, 3, 3, dtype=dtype), *arguments)


def test_a_cap_in_the_environment_is_in_force():
    if not instruction_caps():
        pytest.skip(f"none of {', '.join(CAPS)} is set; `make test-capped` sets them")
    assert supported_precisions("cpu") == ("fp32",)


def test_unknown_and_untrainable_precisions_are_rejected():
    with pytest.raises(ConfigError, match="unknown precision 'int8'"):
        checked_precision("int8")
    with pytest.raises(ConfigError, match="training cannot run in fp16"):
        check_trainable("fp16")
