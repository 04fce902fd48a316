"""The dilated ResNet: features at an eighth of the resolution, and weights in torchvision's layout."""

import pytest
import torch
from safetensors.torch import save_file

from orograph.pipeline.errors import ConfigError, ForeignModel, SourceMissing
from orograph.pipeline.learning.image_heights.backbone import DilatedResNet, load_imagenet


def test_features_have_an_eighth_of_the_resolution():
    network = DilatedResNet(18, 4, 4).eval()
    with torch.no_grad():
        assert network(torch.zeros(1, 4, 64, 48)).shape == (1, network.channels, 8, 6)
    assert network.channels == 32
    for wrong in ((19, 3, 4), (18, 0, 4), (18, 3, 2)):
        with pytest.raises(ConfigError):
            DilatedResNet(*wrong)


def test_published_weights_load_and_other_bands_start_from_the_mean(tmp_path):
    source = DilatedResNet(18, 3, 4)
    save_file({**source.state_dict(), "fc.weight": torch.zeros(1)}, tmp_path / "w.safetensors")
    network = DilatedResNet(18, 4, 4)
    load_imagenet(network, tmp_path / "w.safetensors")
    torch.testing.assert_close(network.conv1.weight.sum(dim=1), source.conv1.weight.sum(dim=1))
    torch.testing.assert_close(network.layer4[1].conv2.weight, source.layer4[1].conv2.weight)
    with pytest.raises(ForeignModel):
        load_imagenet(DilatedResNet(18, 3, 8), tmp_path / "w.safetensors")
    with pytest.raises(SourceMissing):
        load_imagenet(network, tmp_path / "none.pth")
