"""JSON for programs: one document, or one line at a time; never NaN."""

import json
from datetime import date

import pytest

from orograph.infra.reporting.console import print_json, print_json_line


def test_documents_and_lines_read_back(capsys):
    document = {"tile": "é", "day": date(2026, 1, 2), "none": None}
    print_json(document)
    print_json_line(document)
    text = capsys.readouterr().out
    whole, line = text[: text.rindex("{")], text[text.rindex("{") :]
    assert json.loads(whole) == json.loads(line) == {"tile": "é", "day": "2026-01-02", "none": None}
    assert line.count("\n") == 1


def test_numbers_that_json_has_not_are_an_error():
    with pytest.raises(ValueError, match="not JSON compliant"):
        print_json_line({"a": float("nan")})
