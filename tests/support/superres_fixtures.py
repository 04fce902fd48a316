"""A small untrained network with an error head and a gate, as a weights file."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import torch
from safetensors.torch import save_file

from orograph.pipeline.learning.superres.training_plan import TrainingPlan
from orograph.pipeline.superres.interpolants import interpolant_kernels
from orograph.pipeline.superres.network import PRESETS, TerrainNet
from orograph.pipeline.superres.weights import FORMAT


def made_net(preset="XS", factor=3, seed=3):
    torch.manual_seed(seed)
    kernels = interpolant_kernels("keys6", factor)
    # Any filters that sum to one will do for the averaged base; their mean over phases must be the sample.
    delta = np.zeros_like(kernels[0])
    delta[4, 4] = 1.0
    averaged = kernels + (delta - kernels.mean(axis=0))
    net = TerrainNet(PRESETS[preset], factor, torch.from_numpy(np.stack((kernels, averaged))).float())
    with torch.no_grad():
        net.tail.mul_(20.0)
        for block in net.blocks():
            block.mode_gain.uniform_(0.5, 1.5)
            block.aspect_gain.uniform_(-0.3, 0.3)
    return net


def made_weights(path, preset="XS", factor=3, gate=(0.0, 1.0)):
    net = made_net(preset, factor)
    tensors = {k: v.contiguous() for k, v in net.state_dict().items()}
    channels = PRESETS[preset].channels
    tensors["error.weight"] = torch.full((2, factor * factor, channels, 3, 3), -5.0)
    tensors["error.multiples"] = torch.tensor([[[1.1, 3.0], [1.1, 3.0]]] * 2)
    tensors["gate.thresholds"] = torch.tensor([list(gate)] * 2)
    plan = TrainingPlan(preset=preset, factor=factor).record()
    save_file(tensors, path, {"format": FORMAT, "plan": json.dumps(plan), "about": "{}"})
    return hashlib.sha256(path.read_bytes()).hexdigest()


def hills(rows, columns, seed=0):
    rng = np.random.default_rng(seed)
    rough = rng.standard_normal((rows, columns)).cumsum(axis=0).cumsum(axis=1) / 15
    y, x = np.mgrid[:rows, :columns]
    return (1500 + 4 * x - 3 * y + rough).astype(np.float32)
