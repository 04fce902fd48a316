"""Log lines are JSON with the tile's context and without secrets."""

import json
import logging

from orograph.infra.reporting.redaction import HIDDEN
from orograph.infra.reporting.telemetry import JsonFormatter, log_context


def line(message, *arguments, **extra):
    record = logging.LogRecord("orograph.x", logging.WARNING, "f.py", 1, message, arguments, None)
    for name, value in extra.items():
        setattr(record, name, value)
    return json.loads(JsonFormatter().format(record))


def test_lines_carry_the_fields_of_their_context():
    with log_context(tile="E1", job="k"), log_context(stage="blend"):
        inside = line("value is %d", 5)
    assert (inside["tile"], inside["job"], inside["stage"], inside["message"]) == ("E1", "k", "blend", "value is 5")
    assert inside["level"] == "warning"
    assert "tile" not in line("outside")
    assert line("x", tile="E2")["tile"] == "E2"


def test_secrets_are_struck_out(monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "verysecretvalue")
    for text in ("password=hunter22", "Authorization: Bearer abcdefgh", "https://me:pw@host/", "it is verysecretvalue"):
        struck = line(text)["message"]
        assert not {"hunter22", "abcdefgh", "pw@", "verysecretvalue"} & {
            w for w in ("hunter22", "abcdefgh", "pw@", "verysecretvalue") if w in struck
        }
        assert HIDDEN in struck
