"""Models a run takes in place of the requested one, named once per source."""

import pytest

from orograph.pipeline.settings import ProcessingSettings
from orograph.pipeline.superres.zoom import IN_PLACE
from orograph.pipeline.tile.model_choices import substitutions, upsampler_of
from tests.support.made import source
from tests.support.planned import job_of


@pytest.mark.parametrize(
    ("resolution_m", "superres", "expected"),
    [
        (10.0, "keys6", None),
        (30.0, "none", None),
        (30.0, "bilinear", "bilinear"),
        (30.0, "superres-xs", "superres-xs"),
        (50.0, "superres-xs", IN_PLACE),
    ],
)
def test_a_network_upsamples_only_by_its_own_factor(tmp_path, resolution_m, superres, expected):
    made = source(tmp_path / "a.tif", resolution_m=resolution_m)
    assert upsampler_of(made, ProcessingSettings(superres=superres)) == expected


def test_each_substitution_is_one_sentence_with_its_tiles(tmp_path):
    job = job_of(tmp_path, described={"resolution_m": 50.0}, superres="superres-xs")
    (sentence,) = substitutions([job, job])
    assert sentence.startswith(f"made is upsampled by {IN_PLACE}")
    assert sentence.endswith("(2 tiles)")
    assert substitutions([job_of(tmp_path)]) == ()
    assert substitutions([]) == ()


def test_a_network_without_a_source_to_upsample_is_named(tmp_path):
    job = job_of(tmp_path, described={"resolution_m": 50.0}, superres="superres-xs", pixel_size_m=50.0)
    assert substitutions([job]) == ("superres-xs is not used: no source is upsampled to 50 m (1 tile)",)
