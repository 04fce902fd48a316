"""A request chooses sources and says where their files are."""

import pytest

from orograph.infra.runs.request import Request, area_of
from orograph.pipeline.errors import ConfigError, SourceUnknown
from orograph.pipeline.sources.catalogue import Files, SourceCatalogue


def test_data_says_where_files_are_and_chooses_their_source():
    (source,) = Request(data=("glo-30=s3://bucket/a.tif", "glo-30=https://host/b.tif")).sources()
    assert source.data == Files(hrefs=("s3://bucket/a.tif", "https://host/b.tif"))
    chosen = Request(source_ids=("glo-30",), data=("at-tirol-dgm5=/x.tif",)).sources()
    assert [one.id for one in chosen] == ["glo-30", "at-tirol-dgm5"]


def test_unverified_sources_are_used_only_when_they_are_accepted():
    usable = {source.id for source in Request().sources()}
    unverified = next(source for source in SourceCatalogue.load().sources if source.unverified)
    assert unverified.id not in usable
    accepted = Request(source_ids=(unverified.id,), accept_unverified=(unverified.id,)).sources()
    assert accepted[0].accept_unverified


@pytest.mark.parametrize("wrong", ["glo-30", "glo-30="])
def test_data_without_a_place_is_rejected(wrong):
    with pytest.raises(ConfigError, match="is not ID=PATH"):
        Request(data=(wrong,)).sources()


def test_unknown_ids_are_named():
    with pytest.raises(SourceUnknown, match="nowhere"):
        Request(source_ids=("nowhere",)).sources()


def test_an_area_is_four_numbers():
    assert area_of("5, 47, 15,55.5") == (5.0, 47.0, 15.0, 55.5)
    for text in ("1,2,3", "a,b,c,d"):
        with pytest.raises(ConfigError, match="west,south,east,north"):
            area_of(text)
