"""Warming up compiles the kernels that an alignment of files uses."""

from orograph.pipeline.coregistration import kernels
from orograph.pipeline.coregistration.cpu_kernels import compiled_before
from orograph.pipeline.coregistration.warm_up import warm_up


def test_every_kernel_is_compiled_afterwards():
    warm_up()
    assert kernels.accumulate.signatures
    assert kernels.warp.signatures
    assert kernels.evaluate.signatures
    assert compiled_before()
