"""The dilated ResNet: features at an eighth of the resolution, weights in torchvision's layout."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from orograph.pipeline.errors import (
    ConfigError,
    ForeignModel,
    SourceMissing,
)
from orograph.pipeline.learning.image_heights.backbone import DilatedResNet, load_imagenet


@pytest.mark.parametrize("depth", [18, 34, 50, 101])
def test_backbone_gives_an_eighth_and_loads_torchvision_names(depth: int) -> None:
    network = DilatedResNet(depth, 3, 4).eval()
    with torch.inference_mode():
        assert network(torch.zeros(1, 3, 64, 96)).shape == (1, network.channels, 8, 12)
    names = set(network.state_dict())
    assert {
        "conv1.weight",
        "layer1.0.conv1.weight",
        "layer4.1.bn2.running_var",
        "layer2.0.downsample.0.weight",
    } <= names
    dilated = [m for m in network.layer4.modules() if isinstance(m, torch.nn.Conv2d) and m.kernel_size == (3, 3)]
    assert all(m.dilation == (2, 2) and m.stride == (1, 1) for m in dilated)


def test_published_sizes_of_the_backbones() -> None:
    published = {18: 11_689_512, 50: 25_557_032}  # with the classifier of 1000 classes
    for depth, count in published.items():
        network = DilatedResNet(depth)
        assert sum(p.numel() for p in network.parameters()) + (network.channels + 1) * 1000 == count


def test_imagenet_weights_load_from_a_file(tmp_path: Path) -> None:
    source = DilatedResNet(18, 3, 8)
    state = {**source.state_dict(), "fc.weight": torch.zeros(1000, 64), "fc.bias": torch.zeros(1000)}
    torch.save(state, tmp_path / "resnet.pth")
    save_file({k: v.contiguous() for k, v in state.items()}, tmp_path / "resnet.safetensors")
    for name in ("resnet.pth", "resnet.safetensors"):
        target = DilatedResNet(18, 3, 8)
        load_imagenet(target, tmp_path / name)
        assert all(
            torch.equal(a, b) for a, b in zip(target.state_dict().values(), source.state_dict().values(), strict=True)
        )
    one_band = DilatedResNet(18, 1, 8)
    load_imagenet(one_band, tmp_path / "resnet.pth")
    assert torch.allclose(one_band.conv1.weight[:, 0], source.conv1.weight.sum(dim=1), atol=1e-6)
    with pytest.raises(ForeignModel):
        load_imagenet(DilatedResNet(34, 3, 8), tmp_path / "resnet.pth")
    with pytest.raises(ForeignModel):
        load_imagenet(DilatedResNet(18, 3, 16), tmp_path / "resnet.pth")
    (tmp_path / "text.pth").write_text("nothing")
    with pytest.raises(ForeignModel):
        load_imagenet(DilatedResNet(18, 3, 8), tmp_path / "text.pth")
    with pytest.raises(SourceMissing):
        load_imagenet(DilatedResNet(18, 3, 8), tmp_path / "none.pth")
    with pytest.raises(ConfigError):
        DilatedResNet(19)
