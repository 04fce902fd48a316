"""A source is planned only when it is verified and its files can be read where they are."""

import pytest

from orograph.pipeline.errors import ConfigError, SourceMissing, SourceUnverified
from orograph.pipeline.sources.catalogue import Files, Portal
from orograph.pipeline.sources.readiness import archive_of, check_ready, is_archive, obstacle
from tests.support.worlds import SOURCE


def changed(**changes):
    return SOURCE.model_copy(update=changes)


@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        ({"layer": "error"}, ConfigError, "not heights"),
        ({"unverified": ("the licence",)}, SourceUnverified, "the licence"),
        ({"data": Portal(kind="portal", href="https://host/", how="click")}, SourceMissing, "click"),
        ({"data": Files(hrefs=("https://host/a.zip",))}, SourceMissing, "archives"),
    ],
)
def test_an_obstacle_names_its_source_and_a_remedy(changes, error, says):
    with pytest.raises(error, match=says) as caught:
        check_ready(changed(**changes))
    assert caught.value.source == "made"
    assert caught.value.remedy


def test_accepted_facts_are_no_obstacle():
    assert obstacle(SOURCE) is None
    assert obstacle(changed(unverified=("the licence",), accept_unverified=True)) is None


def test_a_member_of_an_archive_is_read_directly():
    assert is_archive("https://host/A.ZIP?sig=1")
    assert not is_archive("zip://a.tif::https://host/a.zip")
    assert archive_of(SOURCE) is None
