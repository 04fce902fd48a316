"""Reading arrays with a description: round trip and every damage as a typed error."""

import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from orograph.pipeline.core.model_file import description_of, read_described
from orograph.pipeline.errors import ForeignModel, SourceMissing

ARRAYS = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.array([7], np.int64)}


def written(path, text, key="model"):
    save_file(ARRAYS, path, {key: text})
    return path


def test_description_and_arrays_are_returned(tmp_path):
    document, arrays = read_described(
        written(tmp_path / "m.safetensors", json.dumps({"version": 2, "x": "y"})), "model", "a model", 2
    )
    assert document == {"version": 2, "x": "y"}
    assert arrays.keys() == ARRAYS.keys()
    for name, values in ARRAYS.items():
        np.testing.assert_array_equal(arrays[name], values)


def test_a_missing_file_names_the_path_and_the_remedy(tmp_path):
    with pytest.raises(SourceMissing, match=r"none\.safetensors") as caught:
        read_described(tmp_path / "none.safetensors", "model", "a model", 1, remedy="fit one")
    assert caught.value.remedy == "fit one"


@pytest.mark.parametrize(
    ("text", "key", "message"),
    [
        ('{"version": 1}', "other", "not a model"),
        ('{"version": 9}', "model", "version 9"),
        ('{"version": ', "model", "damaged"),
        ("{}", "model", "damaged"),
        ("[1]", "model", "damaged"),
    ],
)
def test_foreign_and_damaged_descriptions_are_typed_errors(tmp_path, text, key, message):
    with pytest.raises(ForeignModel, match=message):
        read_described(written(tmp_path / "m.safetensors", text, key), "model", "a model", 1)


@pytest.mark.parametrize("cut", [0, 4, 40])
def test_a_truncated_file_is_a_typed_error(tmp_path, cut):
    path = written(tmp_path / "m.safetensors", '{"version": 1}')
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(ForeignModel, match=r"m\.safetensors"):
        read_described(path, "model", "a model", 1)


@pytest.mark.parametrize("error", [KeyError("k"), TypeError("t"), ValueError("v"), RuntimeError("r")])
def test_errors_inside_the_block_are_a_damaged_description(tmp_path, error):
    with pytest.raises(ForeignModel, match="damaged") as caught, description_of(tmp_path / "m"):
        raise error
    assert caught.value.__cause__ is error
