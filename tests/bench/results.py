"""Figures of benchmarks as JSON next to their pages: benchmarks write them, `tests.bench.render` shows them.

`docs/benchmarks/data/<subject>.json` is a list of figures of the page `docs/benchmarks/<subject>.md`. A figure that no
committed benchmark writes has `by: hand`; it is shown with a star.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

DATA: Final = Path(__file__).parents[2] / "docs/benchmarks/data"


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured claim.

    Attributes:
        id: Name within the subject.
        claim: What is measured.
        ours, peer: Values with units; the peer is named.
        ratio: Ours by the peer's, where both are one quantity.
        data: What it was measured on.
        command: Command that repeats it.
        date: Day of the measurement.
        machine: Cores and processor.
        by: Whether a benchmark wrote it.
        index: Place in the index, from 1; 0 for figures of the page only.
    """

    id: str
    claim: str
    ours: str
    peer: str
    ratio: float | None
    data: str
    command: str
    date: str
    machine: str
    by: Literal["bench", "hand"] = "bench"
    index: int = 0


def read(subject: str) -> list[Figure]:
    """Figures of a subject; none if it has no file."""
    path = DATA / f"{subject}.json"
    return [Figure(**entry) for entry in json.loads(path.read_text())] if path.exists() else []


def subjects() -> list[str]:
    """Subjects with figures."""
    return sorted(path.stem for path in DATA.glob("*.json"))


def write(subject: str, figures: list[Figure]) -> None:
    """Replace the figures of a subject."""
    DATA.mkdir(exist_ok=True)
    text = json.dumps([asdict(figure) for figure in figures], indent=1, ensure_ascii=False)
    (DATA / f"{subject}.json").write_text(text + "\n")


def record(
    subject: str,
    name: str,
    *,
    ours: str,
    peer: str = "",
    ratio: float | None = None,
    claim: str = "",
    data: str = "",
    command: str = "",
) -> None:
    """Write a measured figure; texts left out stay those of the figure of that name.

    Args:
        subject: Page and file of the figure.
        name: Name within the subject.
        ours, peer: Values with units; a peer that did not run stays as it was, with its date in the text.
        ratio: Ours by the peer's, where both are one quantity.
        claim: What is measured.
        data: What it was measured on.
        command: Command that repeats it; by default `make bench` with the file of the test that runs.
    """
    figures = read(subject)
    known = next((figure for figure in figures if figure.id == name), None)
    made = Figure(
        id=name,
        claim=claim or (known.claim if known else name),
        ours=ours,
        peer=peer or (known.peer if known else "-"),
        ratio=None if ratio is None else float(f"{ratio:.3g}"),
        data=data or (known.data if known else ""),
        command=command or running_command(),
        date=datetime.now(UTC).date().isoformat(),
        machine=machine(),
        index=known.index if known else 0,
    )
    write(subject, [made if figure.id == name else figure for figure in figures] + ([] if known else [made]))


def running_command() -> str:
    """`make bench` with the file of the test that runs; empty outside a test."""
    test = os.environ.get("PYTEST_CURRENT_TEST", "")
    return f"make bench BENCH={test.partition('::')[0]}" if test else ""


def machine() -> str:
    """Cores that this process may use, and the processor's name."""
    cpuinfo = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*:\s*(.+)", cpuinfo.read_text()) if cpuinfo.exists() else None
    name = re.sub(r"\(R\)|\(TM\)|Processor|CPU", "", found[1] if found else "unknown processor")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{cores} cores, {' '.join(name.split())}"
