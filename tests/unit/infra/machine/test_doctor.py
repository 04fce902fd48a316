import sys

import pytest
import torch

from orograph.infra.machine.doctor import Severity, examine
from orograph.pipeline.core.precision import supported_precisions
from orograph.pipeline.core.processor import CAPS
from orograph.pipeline.settings import RunSettings


def findings(tmp_path, **flags):
    settings = RunSettings.with_flags(
        store=str(tmp_path / "store"), grids_dir=tmp_path / "grids", scratch=tmp_path / "scratch", **flags
    )
    return {finding.subject: finding for finding in examine(settings)}


@pytest.fixture(autouse=True)
def _no_cluster(monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)


def test_a_good_machine_has_no_failures_and_every_warning_a_remedy(tmp_path):
    found = findings(tmp_path)
    assert {"software", "PROJ", "GDAL", "grids", "machine", "processor", "scratch", "store", "Ray", "GPU"} <= set(found)
    assert not [finding for finding in found.values() if finding.level is Severity.FAILURE]
    assert all(finding.remedy for finding in found.values() if finding.level is Severity.WARNING)


def test_missing_grids_are_a_warning_that_says_how_to_get_them(tmp_path):
    grids = findings(tmp_path)["grids"]
    assert (grids.level, grids.remedy) == (Severity.WARNING, "orograph grids fetch")


def test_a_damaged_grid_is_a_failure(tmp_path):
    (tmp_path / "grids").mkdir()
    (tmp_path / "grids" / "nl_nsgi_nlgeo2018.tif").write_bytes(b"not a grid")
    settings = RunSettings.with_flags(store=str(tmp_path / "store"), grids_dir=tmp_path / "grids")
    bad = [finding for finding in examine(settings) if finding.level is Severity.FAILURE]
    assert [finding.subject for finding in bad] == ["grids"]
    assert "nlgeo2018" in bad[0].text


def test_a_store_that_cannot_be_written_is_a_failure(tmp_path):
    (tmp_path / "file").write_text("in the way")
    settings = RunSettings.with_flags(store=str(tmp_path / "file" / "store"), grids_dir=tmp_path / "grids")
    store = next(finding for finding in examine(settings) if finding.subject == "store")
    assert store.level is Severity.FAILURE
    assert store.remedy


def test_risky_gdal_options_of_the_users_are_named(tmp_path, monkeypatch):
    monkeypatch.setenv("GDAL_NUM_THREADS", "ALL_CPUS")
    found = findings(tmp_path)["GDAL options"]
    assert (found.level, found.remedy) == (Severity.WARNING, "unset GDAL_NUM_THREADS")


def test_the_processor_and_the_precision_of_networks_are_stated(tmp_path, monkeypatch):
    for name in CAPS:
        monkeypatch.delenv(name, raising=False)
    found = findings(tmp_path)["processor"]
    assert found.level is Severity.OK
    assert f"torch uses {torch.backends.cpu.get_cpu_capability()}" in found.text
    assert ("bf16 yes" in found.text) == ("bf16" in supported_precisions("cpu"))
    assert "networks run in fp32" in found.text
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    capped = findings(tmp_path)["processor"]
    assert (capped.level, capped.remedy) == (Severity.WARNING, "unset ONEDNN_MAX_CPU_ISA")
    assert "capped by ONEDNN_MAX_CPU_ISA=AVX2" in capped.text


def test_extras_that_are_not_installed_are_named(tmp_path, monkeypatch):
    for package in ("torch", "ray"):
        monkeypatch.setitem(sys.modules, package, None)
    found = findings(tmp_path)
    assert "torch is not installed" in found["GPU"].text
    assert found["GPU"].remedy == "pip install 'orograph[nets]'"
    assert found["Ray"].remedy == "pip install 'orograph[ray]'"
    assert {found["Ray"].level, found["GPU"].level} == {Severity.OK}


def test_the_check_leaves_no_trace(tmp_path):
    findings(tmp_path)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "store").mkdir()
    findings(tmp_path)
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")] == ["store"]
