"""A widened network gives the answers of the small one."""

from dataclasses import replace

import pytest
import torch

from orograph.pipeline.errors import ConfigError
from orograph.pipeline.learning.superres.net2net import widened
from orograph.pipeline.sources.catalogue import Thinning
from orograph.pipeline.superres.network import Condition
from tests.support.superres_fixtures import hills, made_net


def test_a_wider_and_deeper_network_computes_the_same():
    small = made_net()
    preset = replace(small.preset, channels=small.preset.channels + 8, dilations=(*small.preset.dilations, 1))
    large = widened(small, preset)
    heights = torch.from_numpy(hills(60, 60))[None, None]
    with torch.no_grad():
        one, other = (net(heights, Condition(Thinning.DECIMATED)) for net in (small, large))
    torch.testing.assert_close(other, one, atol=5e-3, rtol=0)


def test_a_preset_without_room_is_rejected():
    small = made_net()
    with pytest.raises(ConfigError, match="cannot begin as"):
        widened(small, replace(small.preset, channels=small.preset.channels - 4))
