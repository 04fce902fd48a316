"""`orograph serve` chooses its sources."""

from orograph.infra.cli import app as cli
from orograph.infra.cli.common import ending


def run(*arguments):
    """The command in this process; returns its exit code."""
    return ending(lambda: cli.app([str(argument) for argument in arguments], standalone_mode=True))


def test_serve_takes_data_of_a_shipped_source(tmp_path, monkeypatch):
    """Without `--catalogue` the places of `--data` were dropped without a word."""
    given = []

    def stop(_run, sources):
        given.append(sources)
        raise KeyboardInterrupt

    monkeypatch.setattr("orograph.infra.service.assemble.parts_from", stop)
    assert run("serve", "--store", tmp_path, "--data", f"glo-30={tmp_path}/*.tif") == 130
    assert run("serve", "--store", tmp_path) == 130
    ((source_,), none) = given
    assert (source_.id, source_.data.hrefs) == ("glo-30", (f"{tmp_path}/*.tif",))
    assert none is None
