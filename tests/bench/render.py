"""Renders the tables of `docs/benchmarks` from their JSON: `python -m tests.bench.render`, or with `--check`.

A page contains its table between `<!-- figures -->` and `<!-- end of figures -->`; `index.md` contains the figures that
have a place in the index, at most twelve.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from tests.bench.results import DATA, Figure, read, subjects

PAGES: Final = DATA.parent
LONGEST_INDEX: Final = 12
_BLOCK: Final = re.compile(r"(<!-- figures -->\n).*?(<!-- end of figures -->)", re.DOTALL)
_HEAD: Final = ("claim", "ours", "peer", "ratio", "data", "command", "date", "machine")


def table(figures: Iterable[Figure], pages: dict[str, str] | None = None) -> str:
    """Markdown table; `pages` links a figure's claim to its page, by the figure's id."""
    rows = [_HEAD, ("---",) * len(_HEAD)]
    for one in figures:
        claim = one.claim if pages is None else f"[{one.claim}]({pages[one.id]})"
        ratio = "-" if one.ratio is None else f"{one.ratio:g}"
        command = f"`{one.command}`" if one.command else "-"
        star = "" if one.by == "bench" else " \\*"
        rows.append((claim, one.ours + star, one.peer, ratio, one.data, command, one.date, one.machine))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"


def index_table() -> str:
    """Table of the index: figures with a place in it, in their order."""
    found = [(one.index, subject, one) for subject in subjects() for one in read(subject) if one.index]
    found.sort(key=lambda entry: entry[:2])
    assert len(found) <= LONGEST_INDEX, f"{len(found)} figures have a place in the index"
    assert len({one.id for *_, one in found}) == len(found), "two figures of the index have one id"
    pages = {one.id: f"{subject}.md" for _, subject, one in found}
    return table([one for *_, one in found], pages)


def rendered(page: Path) -> str:
    """A page with its table as the JSON has it; without figures there is no table."""
    figures = read(page.stem)
    made = index_table() if page.name == "index.md" else table(figures) if figures else ""
    return _BLOCK.sub(lambda match: f"{match[1]}{made}{match[2]}", page.read_text())


def pages() -> list[Path]:
    """Pages with a table to render."""
    return [path for path in sorted(PAGES.glob("*.md")) if "<!-- figures -->" in path.read_text()]


if __name__ == "__main__":
    stale = [page for page in pages() if page.read_text() != rendered(page)]
    if "--check" not in sys.argv:
        for page in stale:
            page.write_text(rendered(page))
    elif stale:
        sys.exit(f"stale: {', '.join(page.name for page in stale)}; run python -m tests.bench.render")
