"""The record of the arithmetic that made a result."""

import torch

from orograph.pipeline.core.numerics import merged_numerics, numerics_of
from orograph.pipeline.superres.resolvers import resolver


def test_interpolants_and_compiled_kernels_need_no_record():
    assert numerics_of([resolver("keys6")], coregistered=True) == {}
    assert numerics_of([]) == {}


def test_bare_earth_runs_in_single_precision():
    record = numerics_of([], bare_earth="fp32")
    assert record["torch"] == torch.__version__
    assert record["instruction_set"] == torch.backends.cpu.get_cpu_capability()
    assert (record["device"], record["precision"]) == ("cpu", "fp32")


def test_a_network_is_described_by_its_options():
    record = numerics_of([resolver("superres-xs"), resolver("keys6")])
    assert record["device"] == "cpu"
    assert record["precision"] in {"fp32", "bf16", "fp16"}


def test_different_values_are_joined_once_and_in_order():
    parts = [{"device": "cpu", "torch": "1"}, {"device": "H100 + cpu", "torch": "1"}, {}]
    assert merged_numerics(parts) == {"device": "H100 + cpu", "torch": "1"}
    assert merged_numerics([]) == {}
