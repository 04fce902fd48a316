"""Terrain models of a run's DSMs: which belongs to which, their order, and requests that cannot be met."""

from pathlib import Path

import pytest

from orograph.pipeline.errors import ConfigError
from orograph.pipeline.settings import ProcessingSettings
from orograph.pipeline.sources.catalogue import SourceCatalogue
from orograph.pipeline.sources.terrain_models import by_rank, check_terrain, terrain_of
from tests.support.made import source

DSM = source(Path("dsm.tif"), id="dsm", surface="DSM", resolution_m=30.0, priority=-100, terrain="model")
MODEL = source(Path("model.tif"), id="model", resolution_m=30.0, priority=-90)
SURVEY = source(Path("survey.tif"), id="survey", resolution_m=1.0)
FUSION, AUTO, NONE = (ProcessingSettings(bare_earth=name) for name in ("fusion", "auto", "none"))


def test_a_terrain_model_belongs_to_the_dsm_that_names_it():
    assert terrain_of(DSM, (DSM, MODEL), "auto") is MODEL
    assert terrain_of(DSM, (DSM, MODEL), "edges") is None
    assert terrain_of(DSM, (DSM, SURVEY), "fusion") is None
    assert terrain_of(MODEL, (DSM, MODEL), "fusion") is None
    assert terrain_of(DSM, (DSM, MODEL.model_copy(update={"surface": DSM.surface})), "fusion") is None


@pytest.mark.parametrize(
    ("settings", "last"), [(FUSION, ["dsm", "model"]), (AUTO, ["dsm", "model"]), (NONE, ["model", "dsm"])]
)
def test_it_ranks_behind_the_dsm_that_it_lowers(settings, last):
    assert [one.id for one in by_rank((MODEL, DSM, SURVEY), settings)] == ["survey", *last]


def test_a_fusion_without_a_terrain_model_is_an_error():
    for settings, sources in ((FUSION, (DSM, MODEL)), (AUTO, (DSM,)), (FUSION, (SURVEY,))):
        check_terrain(sources, settings)
    with pytest.raises(ConfigError, match="needs a terrain model next to dsm") as raised:
        check_terrain((DSM, SURVEY), FUSION)
    assert raised.value.remedy == "add --source model"
    with pytest.raises(ConfigError) as raised:
        check_terrain((DSM.model_copy(update={"terrain": None}),), FUSION)
    assert "terrain: gedtm30" in raised.value.remedy


def test_bundled_dsms_of_the_world_name_a_bundled_terrain_model():
    catalogue = SourceCatalogue.load()
    for name in ("glo-30", "glo-30-caucasus"):
        assert terrain_of(catalogue.get(name), catalogue.sources, "auto").id == "gedtm30"
