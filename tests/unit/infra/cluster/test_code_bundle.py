"""The packages alone go to a cluster, and equal sources have an equal digest."""

from orograph.infra.cluster.code_bundle import copy_packages, package_digest, package_files
from orograph.pipeline.errors import ConfigError


def test_the_bundle_is_the_package_without_caches(tmp_path):
    names = [name for name, _ in package_files()]
    assert {
        "orograph/__init__.py",
        "orograph/pipeline/job.py",
        "orograph/infra/cli/app.py",
        "orograph/stac/verify.py",
    } <= set(names)
    assert not [name for name in names if "__pycache__" in name or name.endswith(".pyc")]
    assert len(names) == len(set(names))
    assert len(package_digest()) == 64
    total = copy_packages(tmp_path)
    assert (tmp_path / "orograph/pipeline/job.py").read_text().startswith('"""A tile')
    assert total == sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())


def test_a_bundle_that_ray_would_not_take_is_an_error(tmp_path, monkeypatch):
    import pytest

    monkeypatch.setattr("orograph.infra.cluster.code_bundle._LIMIT_BYTES", 1000)
    with pytest.raises(ConfigError, match="Ray takes no more"):
        copy_packages(tmp_path)
