"""Temporary folders: gone on every way out, and after a SIGKILL by the next process that needs one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from orograph.infra.runs.scratch import ScratchFolder, collect_orphans
from orograph.pipeline.errors import DiskFull, StoreUnwritable

HOLD = """
import pathlib, sys
from orograph.infra.runs.scratch import ScratchFolder
with ScratchFolder(pathlib.Path(sys.argv[1]), "E4300N2650") as folder:
    (folder / "sources").mkdir()
    (folder / "sources" / "half.tif").write_bytes(b"x" * 1000)
    print("ready", flush=True)
    sys.stdin.read()
"""


def holder(parent: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(parent)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_a_folder_goes_on_every_way_out(tmp_path: Path) -> None:
    with ScratchFolder(tmp_path / "new", "cell") as folder:
        (folder / "a").write_text("")
    with pytest.raises(RuntimeError), ScratchFolder(tmp_path / "new", "cell") as folder:
        raise RuntimeError
    assert list((tmp_path / "new").iterdir()) == []


def test_the_folder_of_a_killed_process_is_collected_and_those_of_the_living_stay(tmp_path: Path) -> None:
    killed, alive = holder(tmp_path), holder(tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
    assert collect_orphans(tmp_path) == []
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    with ScratchFolder(tmp_path, "E4350N2650"):
        (left,) = [path for path in tmp_path.iterdir() if "E4300N2650" in path.name]
        assert (left / "sources/half.tif").stat().st_size == 1000
    alive.communicate()
    assert list(tmp_path.iterdir()) == []


def test_folders_of_other_hosts_users_and_purposes_stay(tmp_path: Path) -> None:
    others = ["orograph-E4300N2650@elsewhere-abcdefgh", "orograph-backup", "orograph-verify-abcdefgh", "heights"]
    for name in others:
        (tmp_path / name).mkdir()
    with ScratchFolder(tmp_path, "x") as folder:
        target = tmp_path / folder.name.replace("-x@", "-y@")
        target.symlink_to(tmp_path / "heights")
    assert collect_orphans(tmp_path) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*others, target.name])


def test_two_processes_never_share_or_lose_a_folder(tmp_path: Path) -> None:
    """Many makers at once, each collecting: nobody takes a folder that was just made for an orphan."""
    code = (
        "import pathlib, sys\nfrom orograph.infra.runs.scratch import ScratchFolder\n"
        "for n in range(300):\n"
        "    with ScratchFolder(pathlib.Path(sys.argv[1]), 'x') as folder:\n"
        "        (folder / 'a').write_text('a')\n        assert (folder / 'a').read_text() == 'a'\n"
    )
    makers = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path)]) for _ in range(3)]
    assert [maker.wait(120) for maker in makers] == [0, 0, 0]
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DiskFull), ScratchFolder(tmp_path / "file", "x"):
        pass
    if os.geteuid():
        (tmp_path / "closed").mkdir(mode=0o500)
        with pytest.raises(StoreUnwritable), ScratchFolder(tmp_path / "closed", "x"):
            pass
