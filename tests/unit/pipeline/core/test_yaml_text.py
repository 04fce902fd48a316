"""YAML of plain values only."""

import pytest
import yaml

from orograph.pipeline.core.yaml_text import parse_yaml


def test_documents_are_plain_values():
    assert parse_yaml("a: [1, 2.5, x]\nb: null\n") == {"a": [1, 2.5, "x"], "b": None}
    assert parse_yaml("") is None


@pytest.mark.parametrize("text", ["a: [", "!!python/object/apply:os.system ['true']"])
def test_broken_text_and_code_are_errors(text):
    with pytest.raises(yaml.YAMLError):
        parse_yaml(text)
