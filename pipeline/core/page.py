"""The HTML layout of all reports: one self-contained, printable file for light and dark screens."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Final

STYLE: Final = """
:root{--ink:#1c2321;--paper:#fbfaf7;--line:#ddd8cc;--quiet:#5c665f;--bar:#7a9e87;--bad:#a33a1c}
body{font:15px/1.5 system-ui,sans-serif;max-width:76rem;margin:2rem auto;padding:0 1rem;color:var(--ink);background:var(--paper)}
h1{font-size:1.5rem;line-height:1.25}h2{font-size:1.1rem;margin-top:2rem}
.lead{color:var(--quiet);max-width:46rem}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}.wide{overflow-x:auto}
th,td{text-align:left;vertical-align:top;padding:.3rem 1rem .3rem 0;border-bottom:1px solid var(--line)}
th{font-weight:600}td.n,th.n{text-align:right}
dl{display:grid;grid-template-columns:max-content auto;gap:.2rem 1.5rem}dt{color:var(--quiet)}dd{margin:0}
.bar{background:var(--bar);height:.8rem;border-radius:2px}.bad{color:var(--bad)}
main.pictures{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,26rem),1fr));gap:1rem}
main.pictures .whole{grid-column:1/-1}
figure{margin:0;break-inside:avoid}figure img{width:100%;height:auto;background:#fff;border-radius:3px}
figcaption{color:var(--quiet);font-size:.9em}
.maps{display:grid;grid-template-columns:repeat(3,1fr);gap:1rem}.map{position:relative}.map img{display:block}
.scale{position:absolute;left:4%;bottom:4%;border-bottom:3px solid #000;background:#ffffffc0;color:#000;font-size:.75em;text-align:center}
.legend{display:flex;gap:.5rem;align-items:center;font-size:.8em;margin-top:.3rem}.legend i{flex:1;height:.6rem;border-radius:2px}
@media (max-width:40rem){.maps{grid-template-columns:1fr}}
footer{margin-top:3rem;color:var(--quiet);font-size:.85em}
@media (prefers-color-scheme:dark){:root{--ink:#e4e6e1;--paper:#161a18;--line:#39423c;--quiet:#9aa59d;--bad:#ef8d6f}}
@media print{*{print-color-adjust:exact}:root{--ink:#000;--paper:#fff;--line:#bbb;--quiet:#444}body{font-size:10pt;margin:0;max-width:none}
h2{break-after:avoid}tr{break-inside:avoid}main.pictures{grid-template-columns:1fr 1fr}}
"""


def page(title: str, body: str, *, lead: str = "") -> str:
    """A complete HTML page.

    Args:
        title: Plain text.
        body: HTML in which external values are already escaped.
        lead: Plain text below the title.
    """
    introduction = f"<p class=lead>{escape(lead)}</p>" if lead else ""
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><title>{escape(title)}</title>'
        f"<style>{STYLE}</style></head><body><h1>{escape(title)}</h1>{introduction}\n{body}\n"
        f"<footer>Made by Orograph</footer></body></html>\n"
    )


def facts(rows: Iterable[tuple[str, object]]) -> str:
    """An HTML list of names and values, escaped."""
    return "<dl>" + "".join(f"<dt>{escape(k)}</dt><dd>{escape(str(v))}</dd>" for k, v in rows) + "</dl>"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, text_columns: Sequence[int] = (0,)) -> str:
    """A table of escaped cells; all columns but `text_columns` are aligned as numbers."""

    def cells(kind: str, row: Sequence[str]) -> str:
        return "".join(
            f"<{kind}{'' if i in text_columns else ' class=n'}>{escape(cell)}</{kind}>" for i, cell in enumerate(row)
        )

    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return f'<div class="wide"><table><tr>{cells("th", head)}</tr>{body}</table></div>'


def pictures(files: Iterable[tuple[Path, str]], *, whole: bool = False) -> str:
    """HTML figures with embedded PNG files; files that do not exist are left out.

    Args:
        files: Path and caption.
        whole: Give each picture the full width.
    """
    return f'<main class="pictures">{"".join(_figure(p, text, whole=whole) for p, text in files if p.is_file())}</main>'


def _figure(path: Path, caption: str, *, whole: bool) -> str:
    data = base64.b64encode(path.read_bytes()).decode()
    text = escape(caption)
    kind = ' class="whole"' if whole else ""
    return (
        f'<figure{kind}><img alt="{text}" src="data:image/png;base64,{data}"><figcaption>{text}</figcaption></figure>'
    )
