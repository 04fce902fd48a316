"""Counts what was injected, by class, so that a long run can be reported."""

from __future__ import annotations

from collections import Counter

import pytest

_ANSWERED: Counter[str] = Counter()


@pytest.fixture(scope="session")
def answered() -> Counter[str]:
    """How many injected faults of each class were answered as promised; tests add to it after their assertions."""
    return _ANSWERED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _ANSWERED:
        terminalreporter.section("injected faults answered as promised")
        for name, count in sorted(_ANSWERED.items()):
            terminalreporter.write_line(f"{count:6d}  {name}")
        terminalreporter.write_line(f"{_ANSWERED.total():6d}  in all")
