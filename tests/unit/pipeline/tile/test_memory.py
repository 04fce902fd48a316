"""Projected memory: larger windows and more sources cost more, and a budget is enforced before anything starts."""

import pytest

from orograph.pipeline.errors import MemoryBudgetExceeded
from orograph.pipeline.tile.memory import check_budget, projected_peak_bytes, tile_halo_px, window_px
from tests.support.planned import job_of


@pytest.mark.parametrize(("pixel_size_m", "side"), [(10.0, 1536), (5.0, 1536), (2.0, 1024)])
def test_windows_are_smaller_for_fine_pixels(tmp_path, pixel_size_m, side):
    assert window_px(job_of(tmp_path, pixel_size_m=pixel_size_m)) == side


def test_the_halo_is_what_the_stages_look_at_and_one_pixel(tmp_path):
    assert tile_halo_px(job_of(tmp_path, stages=("regrid",))) == 1
    narrow, wide = (job_of(tmp_path, blend_width_m=width) for width in (50.0, 400.0))
    assert tile_halo_px(wide) > tile_halo_px(narrow) > 1
    assert projected_peak_bytes(wide) > projected_peak_bytes(narrow)


def test_a_tile_above_the_budget_is_rejected_with_a_remedy(tmp_path):
    job = job_of(tmp_path)
    needed_mb = projected_peak_bytes(job) / 2**20
    assert check_budget(job, int(needed_mb) + 1) == projected_peak_bytes(job)
    with pytest.raises(MemoryBudgetExceeded, match=f"limit of {int(needed_mb) - 1} MB") as caught:
        check_budget(job, int(needed_mb) - 1)
    assert caught.value.tile == job.tile.id
    assert "blend_width_m" in caught.value.remedy
