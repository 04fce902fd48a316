"""What a node needs is checked when its worker starts."""

import pytest

from orograph.infra.runs.node_needs import NodeNeeds, needs_of
from orograph.infra.stores.open import open_store
from orograph.pipeline.errors import GridMissing, StoreUnwritable
from orograph.pipeline.settings import RunSettings
from tests.support.worlds import make_job


def test_a_folder_is_recognised_by_a_mark_that_goes_afterwards(tmp_path):
    here, elsewhere = (RunSettings(store=str(tmp_path / name)) for name in ("a", "b"))
    with needs_of([make_job()], here, "ray") as needs:
        needs.check(here)
        with pytest.raises(StoreUnwritable, match="another folder"):
            needs.check(elsewhere)
    assert list(open_store(here.store).list()) == []


def test_engines_of_this_machine_need_nothing(tmp_path):
    with needs_of([make_job()], RunSettings(store=str(tmp_path)), "local") as needs:
        assert needs == NodeNeeds()
    with needs_of([make_job()], RunSettings(store="s3://bucket/x"), "ray") as needs:
        assert needs.mark == ""


def test_a_grid_that_the_driver_has_must_be_here(tmp_path):
    with pytest.raises(GridMissing):
        NodeNeeds(grids=("us_nga_egm96_15.tif",)).check(RunSettings(store=str(tmp_path), grids_dir=tmp_path))
