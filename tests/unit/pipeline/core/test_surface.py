"""The kind of heights is one of two words."""

import pytest

from orograph.pipeline.core.surface import Surface


def test_kinds_are_read_from_and_written_as_their_name():
    assert Surface("DTM") is Surface.DTM
    assert f"{Surface.DSM}" == "DSM"
    assert [str(kind) for kind in Surface] == ["DTM", "DSM"]


@pytest.mark.parametrize("text", ["dtm", "", "DEM"])
def test_other_words_are_rejected(text):
    with pytest.raises(ValueError, match="not a valid Surface"):
        Surface(text)
