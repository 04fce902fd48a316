"""Schemas of OpenAPI 3.1 as 3.0 writes them."""

import pytest

from orograph.stac.serving.openapi30 import OPENAPI30, as_openapi30


@pytest.mark.parametrize(
    ("new", "old"),
    [
        ({"const": "a", "type": "string"}, {"enum": ["a"], "type": "string"}),
        ({"type": ["string", "null"]}, {"type": "string", "nullable": True}),
        ({"type": ["string", "integer"]}, {"anyOf": [{"type": "string"}, {"type": "integer"}]}),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, {"type": "integer", "nullable": True}),
        ({"anyOf": [{"$ref": "#/a"}, {"type": "null"}]}, {"allOf": [{"$ref": "#/a"}], "nullable": True}),
        ({"type": "number", "exclusiveMinimum": 0}, {"type": "number", "minimum": 0, "exclusiveMinimum": True}),
        ({"type": "string", "examples": ["x", "y"]}, {"type": "string", "example": "x"}),
        (
            {"type": "array", "prefixItems": [{"type": "string"}]},
            {"type": "array", "items": {"anyOf": [{"type": "string"}]}},
        ),
    ],
)
def test_a_schema_keeps_its_meaning(new, old):
    assert as_openapi30({"schema": new}) == {"schema": old, "openapi": OPENAPI30}


def test_properties_may_be_called_like_words_of_schemas():
    described = {"properties": {"type": {"type": "string"}, "const": {"type": "integer"}}}
    assert as_openapi30(described)["properties"] == described["properties"]
