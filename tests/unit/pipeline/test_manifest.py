"""A manifest is sealed: it comes back as written, or it is an error."""

import pytest

from orograph.pipeline.manifest import Manifest, asset_set, canonical_json
from tests.support.catalogue_world import make_manifest


@pytest.fixture(scope="module")
def manifest():
    return make_manifest(None)


def test_it_comes_back_as_written(manifest):
    data = manifest.to_json()
    assert Manifest.from_json(data) == manifest
    assert Manifest.from_json(data).to_json() == data
    assert manifest.manifest_key == f"tiles/{manifest.tile}/{manifest.run_key}/manifest.json"
    assert all(asset.key.startswith(manifest.asset_prefix) for asset in manifest.assets)
    with pytest.raises(KeyError):
        manifest.asset("none")


def test_any_change_is_noticed(manifest):
    data = manifest.to_json()
    for place in (20, len(data) // 2, len(data) - 20):
        changed = bytearray(data)
        changed[place] ^= 1
        with pytest.raises(ValueError):
            Manifest.from_json(bytes(changed))
    with pytest.raises(ValueError, match="canonical"):
        Manifest.from_json(data + b"\n")


def test_a_set_is_named_by_its_content():
    one, other = asset_set({"a": "1", "b": "2"}), asset_set({"b": "2", "a": "1"})
    assert one == other != asset_set({"a": "2", "b": "1"})
    assert canonical_json({"b": 1, "a": [True, None]}) == b'{"a":[true,null],"b":1}'
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json({"a": float("nan")})
