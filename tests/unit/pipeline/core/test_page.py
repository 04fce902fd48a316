"""Reports are whole in one file, printable, and quote nothing from outside unescaped."""

from pathlib import Path

from PIL import Image

from orograph.pipeline.core.page import facts, page, pictures, table


def test_a_page_needs_nothing_else_and_escapes(tmp_path: Path):
    Image.new("L", (4, 4)).save(tmp_path / "p.png")
    body = facts([("file", "<x>")]) + table(("a", "b"), [("<y>", "1")])
    body += pictures([(tmp_path / "p.png", "<z>"), (tmp_path / "none.png", "left out")])
    text = page("<t>", body, lead="<l>")
    for outside in ("<x>", "<y>", "<z>", "<t>", "<l>", "left out", "<script", "http"):
        assert outside not in text, outside
    assert text.count("data:image/png;base64,") == 1
    assert "@media print" in text
    assert "<td class=n>1</td>" in text
