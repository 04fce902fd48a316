"""Tables of benchmarks are those of their JSON, which benchmarks write."""

import json

import pytest

from tests.bench import results
from tests.bench.render import LONGEST_INDEX, index_table, pages, rendered, table


def test_no_table_is_stale():
    assert "index.md" in {page.name for page in pages()}
    for page in pages():
        assert page.read_text() == rendered(page), f"{page.name} is stale: run python -m tests.bench.render"


def test_every_subject_has_a_page_that_shows_it():
    shown = {page.stem for page in pages()}
    assert set(results.subjects()) <= shown


def test_the_index_is_short_and_complete():
    rows = index_table().splitlines()[2:]
    assert 1 <= len(rows) <= LONGEST_INDEX
    for subject in results.subjects():
        for figure in results.read(subject):
            assert all((figure.id, figure.claim, figure.ours, figure.data, figure.date, figure.machine))
            assert not figure.index or (figure.by == "bench" and figure.command), f"no command wrote {figure.id}"


def test_a_benchmark_updates_its_figure_and_keeps_the_others(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "DATA", tmp_path)
    old = results.Figure("a", "A", "1 s", "2 s, P", 0.5, "made", "make bench", "2020-01-01", "one", "hand", 3)
    results.write("x", [old, results.Figure("b", "B", "1", "-", None, "d", "c", "2020-01-01", "one")])
    results.record("x", "a", ours="3 s", peer="4 s, P", ratio=0.75123)
    results.record("x", "new", ours="5", claim="New", data="d", command="c")
    first, second, third = results.read("x")
    assert (first.claim, first.ours, first.ratio, first.by, first.index) == ("A", "3 s", 0.751, "bench", 3)
    assert first.date > "2020-01-01"
    assert "cores" in first.machine
    assert (second.id, third.id, third.claim) == ("b", "new", "New")
    assert json.loads((tmp_path / "x.json").read_text())[0]["id"] == "a"


def test_figures_entered_by_hand_have_a_star():
    figure = results.Figure("a", "A", "1 s", "-", None, "d", "", "2026-01-01", "one", "hand")
    assert table([figure]).splitlines()[-1] == "| A | 1 s \\* | - | - | d | - | 2026-01-01 | one |"


@pytest.mark.parametrize("wrong", [{"id": "a"}, {"unknown": 1}])
def test_incomplete_figures_are_errors(tmp_path, monkeypatch, wrong):
    monkeypatch.setattr(results, "DATA", tmp_path)
    (tmp_path / "x.json").write_text(json.dumps([wrong]))
    with pytest.raises(TypeError):
        results.read("x")
