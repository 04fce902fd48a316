"""What a user may set of GDAL, and what is ours because the bytes of products hang on it."""

from __future__ import annotations

import os

import pytest

from orograph.infra.engines.environment import FIXED, GDAL_ENV, apply_gdal_env, worker_env


@pytest.fixture(autouse=True)
def _restored(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in GDAL_ENV:
        monkeypatch.setenv(name, "7")


def test_what_bytes_hang_on_is_ours() -> None:
    assert {name: worker_env()[name] for name in FIXED} == {name: GDAL_ENV[name] for name in FIXED}
    apply_gdal_env()
    assert {name: os.environ[name] for name in FIXED} == {name: GDAL_ENV[name] for name in FIXED}


def test_what_changes_no_byte_is_the_users() -> None:
    apply_gdal_env()
    for name in set(GDAL_ENV) - FIXED:
        assert os.environ[name] == worker_env()[name] == "7"
