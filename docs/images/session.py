"""Record commands as an asciinema cast and draw a cast as an SVG that plays by itself, without script or font.

python docs/images/session.py record demo.cast 'orograph demo --out demo-output --engine local'
python docs/images/session.py draw demo.cast docs/images/session.svg
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import time
from html import escape
from pathlib import Path

PLAYS_S = 14.0
"""Length of the picture, however long the commands took."""
WIDTH, ROW_PX, CHAR_PX = 112, 17, 7.25
STYLE = (
    "text{font:12px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;fill:#d7dedb;white-space:pre}"
    ".c{fill:#8fd3c1;font-weight:600}.t{fill:#93a19b}"
    "@media not (prefers-reduced-motion){g text{opacity:0;animation:s 0s forwards}}@keyframes s{to{opacity:1}}"
)


def record(path: Path, commands: list[str]) -> None:
    """Run commands and write their output with its times, version 2 of asciinema's format."""
    began = time.monotonic()
    events = []
    for command in commands:
        events.append([time.monotonic() - began, "o", f"$ {command}\r\n"])
        with subprocess.Popen(
            shlex.split(command), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as running:
            lines = iter(running.stdout or ())
            events.extend([time.monotonic() - began, "o", line.rstrip("\n") + "\r\n"] for line in lines)
    header = {"version": 2, "width": WIDTH, "height": len(events) + 1}
    rows = [json.dumps(header), *(json.dumps([round(at, 1), kind, text]) for at, kind, text in events)]
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")


def draw(path: Path, out: Path) -> None:
    """Every line appears at its time, scaled to the length of the picture."""
    _, *events = (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())
    whole_s = max(events[-1][0], 1e-3)
    lines = [(at, row) for at, _, text in events for row in text.replace("\r", "").rstrip("\n").split("\n")]
    height = (len(lines) + 3) * ROW_PX
    drawn = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH * CHAR_PX:.0f}" height="{height}" role="img">'
            f"<title>Session in a terminal, {whole_s / 60:.0f} minutes</title><style>{STYLE}</style>"
            f'<rect width="100%" height="100%" rx="8" fill="#15211f"/>'
            f'<text class="t" x="14" y="{ROW_PX + 3}">{whole_s:.0f} s in {PLAYS_S:.0f} s</text><g>'
        )
    ]
    for place, (at, row) in enumerate(lines, start=2):
        kind = ' class="c"' if row.startswith("$ ") else ""
        delay = f"animation-delay:{PLAYS_S * at / whole_s:.2f}s"
        text = escape(row if len(row) <= WIDTH - 4 else row[: WIDTH - 5] + "…")
        drawn.append(f'<text{kind} x="14" y="{(place + 1) * ROW_PX}" style="{delay}">{text}</text>')
    out.write_text("".join([*drawn, "</g></svg>\n"]), encoding="utf-8")


if __name__ == "__main__":
    verb, target, *rest = sys.argv[1:]
    if verb == "record":
        record(Path(target), rest)
    else:
        draw(Path(target), Path(rest[0]))
