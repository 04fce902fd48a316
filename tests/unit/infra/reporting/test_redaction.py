"""Secrets leave texts and log records, everything else stays."""

import logging

import pytest

from orograph.infra.reporting.redaction import HIDDEN, RedactingFilter, redacted


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("key oro_0123abcd_AbCdEfGh-12", "AbCdEfGh"),
        ("Authorization: Bearer abc.def-ghi", "abc.def"),
        ('{"X-API-Key": "topsecret1"}', "topsecret1"),
        ("https://host/a.tif?X-Amz-Signature=deadbeef&page=2", "deadbeef"),
        ("AWS_SECRET_ACCESS_KEY=wJalrXUt", "wJalrXUt"),
        ("s3 at https://me:pass@host/x", "pass@"),
        ("id AKIAABCDEFGHIJKLMNOP", "AKIAABCDEFGHIJKLMNOP"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOi.sig", "eyJzdWIiOi"),
    ],
)
def test_a_secret_is_taken_out(text, secret):
    assert secret not in redacted(text)
    assert HIDDEN in redacted(text)


def test_other_text_stays():
    text = "tile E4300N2650: 12 keys of 3 tokens at https://host/path?page=2&limit=10"
    assert redacted(text) == text


def test_a_log_record_is_redacted_with_its_arguments_and_traceback():
    error = ValueError("password=hunter2")
    info = (type(error), error, None)
    record = logging.LogRecord("x", logging.INFO, "f.py", 1, "token=%s", ("abc",), info)
    assert RedactingFilter().filter(record)
    assert "hunter2" not in logging.Formatter().format(record)
    assert record.args == ()
