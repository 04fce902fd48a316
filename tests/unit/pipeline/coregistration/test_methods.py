"""Names of methods: canonical form, terms, and typed errors."""

import pytest

from orograph.pipeline.coregistration.methods import EAST, NORTH, UP, parse_method
from orograph.pipeline.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Nuth-Kaab", "nuth-kaab"),
        (" nuth-kaab + deramp ", "nuth-kaab+deramp(1)"),
        ("blockwise", "blockwise(nuth-kaab)"),
        ("blockwise(block=500)", "blockwise(nuth-kaab,block=500)"),
        ("blockwise(affine, block=1e3)", None),
        ("blockwise( nuth-kaab+deramp(2) , block=250.50)", "blockwise(nuth-kaab+deramp(2),block=250.5)"),
    ],
)
def test_names_have_one_canonical_form(text, name):
    if name is None:
        with pytest.raises(ConfigError):
            parse_method(text)
        return
    method = parse_method(text)
    assert method.name == name
    assert parse_method(method.name) == method


def test_a_sum_is_the_union_of_terms():
    assert parse_method("vertical-shift").terms == ((UP, 0),)
    assert parse_method("nuth-kaab+deramp(1)").terms == ((EAST, 0), (NORTH, 0), (UP, 0), (UP, 1), (UP, 2))
    assert len(parse_method("deramp(2)").terms) == 6


def test_only_methods_that_move_sideways_are_horizontal():
    assert parse_method("affine").horizontal
    assert not parse_method("vertical-shift+deramp(2)").horizontal


def test_blocks_have_their_side_in_metres():
    method = parse_method("blockwise(nuth-kaab, block=750)")
    assert (method.blockwise, method.block_m) == (True, 750.0)
    assert parse_method("blockwise").block_m is None


@pytest.mark.parametrize(
    "text",
    [
        "", "icp", "nuth-kaab(2)", "deramp(3)", "nuth-kaab+", "blockwise(nuth-kaab", "blockwise(block=0)",
        "blockwise(nuth-kaab,5)", "blockwise(a,b,block=5)", "nuth kaab;",
    ],
)  # fmt: skip
def test_other_names_are_config_errors_with_a_remedy(text):
    with pytest.raises(ConfigError) as caught:
        parse_method(text)
    assert caught.value.remedy
