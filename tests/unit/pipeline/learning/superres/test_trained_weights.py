"""Networks come back from their weights; several are averaged."""

import pytest
import torch
from safetensors.torch import save_file

from orograph.pipeline.errors import ConfigError, ModelError, SourceMissing
from orograph.pipeline.learning.superres.trained_weights import below, trained
from tests.support.superres_fixtures import made_net


def written(path, net):
    save_file({name: tensor.contiguous() for name, tensor in net.state_dict().items()}, path)
    return path


def test_several_weights_are_their_mean(tmp_path):
    one, other = made_net(seed=1), made_net(seed=2)
    paths = [written(tmp_path / "1.safetensors", one), written(tmp_path / "2.safetensors", other)]
    torch.testing.assert_close(trained(paths[:1], 3).state_dict(), one.state_dict())
    torch.testing.assert_close(trained(paths, 3).head, (one.head + other.head) / 2)


def test_weights_that_do_not_fit_are_named(tmp_path):
    with pytest.raises(SourceMissing):
        trained([tmp_path / "none.safetensors"], 3)
    (tmp_path / "cut.safetensors").write_bytes(b"12345")
    with pytest.raises(ModelError, match="do not parse"):
        trained([tmp_path / "cut.safetensors"], 3)
    small, large = written(tmp_path / "xs.safetensors", made_net()), written(tmp_path / "s.safetensors", made_net("S"))
    with pytest.raises(ConfigError, match="different presets"):
        trained([small, large], 3)
    save_file({"head": torch.zeros(3, 5, 1, 1)}, tmp_path / "odd.safetensors")
    with pytest.raises(ConfigError, match="0 blocks of 5 channels"):
        trained([tmp_path / "odd.safetensors"], 3)


def test_a_prefix_chooses_tensors():
    assert set(below({"net.a": torch.zeros(1), "average.a": torch.zeros(1)}, "net.")) == {"a"}
