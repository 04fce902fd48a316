"""A teacher's answer does not depend on how it was turned, and its share is in the target."""

import numpy as np
import pytest
import torch

from orograph.pipeline.errors import SourceMissing
from orograph.pipeline.learning.superres.dataset import Batch
from orograph.pipeline.learning.superres.distillation import Teacher, digest_of, turned, turned_back
from orograph.pipeline.sources.catalogue import Thinning
from orograph.pipeline.superres.network import Condition
from tests.support.superres_fixtures import hills, made_net


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("mirrored", [False, True])
def test_turning_back_undoes_turning(turns, mirrored):
    planes = torch.arange(24.0).reshape(1, 1, 4, 6)
    assert torch.equal(turned_back(turned(planes, turns, mirrored), turns, mirrored), planes)


def test_the_target_is_between_truth_and_answer():
    coarse = hills(16, 16)[None, None]
    batch = Batch(
        coarse, np.zeros((1, 1, 48, 48), np.float32), np.ones((1, 1, 48, 48), bool), None, Condition(Thinning.DECIMATED)
    )
    teacher = Teacher((made_net(),), 0.25, 1)
    answer, aim = teacher.answer(batch, 3), teacher.aim(batch, 3)
    assert answer.shape == (1, 1, 48, 48)
    torch.testing.assert_close(aim, 0.25 * answer)
    assert torch.equal(teacher.answer(batch, 3), answer)


def test_a_plan_names_its_teachers_by_content(tmp_path):
    paths = [tmp_path / name for name in "ab"]
    for path in paths:
        path.write_bytes(path.name.encode())
    assert digest_of(paths).count("+") == 1
    assert digest_of(paths) != digest_of(paths[::-1])
    with pytest.raises(SourceMissing):
        digest_of([tmp_path / "none"])
