"""A head is found by what runs, and reported by doctor."""

from __future__ import annotations

from pathlib import Path

import pytest

from orograph.infra.engines.ray_head import local_heads
from orograph.infra.machine.doctor import Severity, _without_address


def test_heads_are_found_by_their_command_line(tmp_path: Path) -> None:
    for pid, words in {
        "11": [
            "/x/ray/core/src/ray/gcs/gcs_server",
            "--log_dir=/l",
            "--gcs_server_port=6379",
            "--node-ip-address=10.0.0.5",
        ],
        "12": ["grep", "--gcs_server_port=1", "gcs_server"],
        "13": ["/x/gcs_server", "--gcs_server_port=0"],
    }.items():
        (tmp_path / pid).mkdir()
        (tmp_path / pid / "cmdline").write_bytes("\0".join(words).encode())
    assert local_heads(tmp_path) == ("10.0.0.5:6379",)
    assert local_heads(tmp_path / "nothing") == ()


def test_doctor_says_that_a_head_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orograph.infra.machine.doctor.local_heads", lambda: ("10.0.0.5:6379",))
    finding = _without_address("2.60")
    assert finding.level is Severity.WARNING
    assert "a head runs here at 10.0.0.5:6379" in finding.text
    assert "RAY_ADDRESS=10.0.0.5:6379" in finding.remedy
