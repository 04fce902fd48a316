"""Shared fixtures: real data beside the checkout, and the rule that CI may not skip for want of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"
REQUIRED = {name for name in os.environ.get("OROGRAPH_REQUIRE", "").split(",") if name}


def skip_or_fail(component: str, message: str) -> None:
    """Skip where a person's machine lacks a component; fail where it must be there."""
    if component in REQUIRED:
        pytest.fail(f"{component} is required here: {message}")
    pytest.skip(message)


@pytest.fixture(scope="session")
def shared() -> Callable[[str], Path]:
    """Path of a real file below `../shared`; the test is skipped where it is absent."""

    def find(relative: str) -> Path:
        path = SHARED / relative
        if not path.exists():
            skip_or_fail("shared", f"real data {relative} is not on this machine")
        return path

    return find
