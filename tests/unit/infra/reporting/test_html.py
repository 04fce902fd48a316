"""A run's report as a page: every figure is there, and nothing from outside is markup."""

import pytest

from orograph.infra.reporting.html import html_of

REPORT = {
    "run": "2026-<run>",
    "engine": "local",
    "workers": 2,
    "started": "2026-01-01T00:00:00Z",
    "wall_seconds": 3700.0,
    "tiles": {"done": 1, "up-to-date": 0, "failed": 1, "quarantined": 0, "planned": 2},
    "retries": 0,
    "bytes_read": 1_500_000,
    "bytes_written": 900,
    "busy_fraction": 0.5,
    "peak_rss_mb": {"max": 812.0},
    "cost": None,
    "interrupted": False,
    "stages": {"regrid": {"total": 4.0, "median": 2.0, "p95": 3.0, "cpu_total": 4.0}},
    "reads": {},
    "failures": [{"tile": "E1", "error": "SourceCorrupt", "message": "<b>bad</b>", "remedy": "fetch again"}],
    "ended": [{"tile": "E2", "status": "done", "attempts": 1, "seconds": {"regrid": 4.0}}],
}


def test_the_page_has_the_figures_and_escapes_everything():
    page = html_of(REPORT)
    for text in (
        "1 h 1 min",
        "1.5 MB",
        "900 B",
        "50%",
        "812 MB",
        "2026-&lt;run&gt;",
        "&lt;b&gt;bad&lt;/b&gt;",
        "fetch again",
    ):
        assert text in page
    assert "<b>bad" not in page
    assert "Estimated cost" not in page
    assert "interrupted" not in page


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"interrupted": True}, "the same command resumes it"),
        ({"stages": {}}, "No tile was made."),
        ({"failures": []}, "<p>None.</p>"),
        (
            {
                "reads": {
                    "glo": {"requests": 7, "bytes_fetched": 10, "bytes_needed": 9, "cache_hits": 0, "cache_bytes": 0}
                }
            },
            "Remote sources",
        ),
    ],
)
def test_special_runs_say_so(changes, says):
    assert says in html_of({**REPORT, **changes})
    assert says not in html_of(REPORT)
