"""The service's log lines pass the redacting filter."""

import logging

import pytest

from orograph.infra.service.logs import configure_logs


@pytest.fixture
def loggers():
    names = ("", "orograph", "uvicorn")
    before = {
        name: (logging.getLogger(name).handlers, logging.getLogger(name).level, logging.getLogger(name).propagate)
        for name in names
    }
    yield
    for name, (handlers, level, propagate) in before.items():
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = handlers, propagate
        logger.setLevel(level)


@pytest.mark.usefixtures("loggers")
def test_secrets_do_not_reach_the_log(capsys):
    configure_logs()
    logging.getLogger("orograph.service").info("GET /?token=%s", "abc123")
    logging.getLogger("other").info("not ours")
    text = capsys.readouterr().err
    assert "orograph.service" in text
    assert "abc123" not in text
    assert "not ours" not in text
