#!/usr/bin/env python3
"""Writes parametrization.json: what layers give under PyTorch's weight_norm and spectral_norm for float64 inputs, the
gradients of inputs and originals under a random cotangent, and the buffers afterwards. Tensors are [shape, values]."""
import json
import pathlib

import torch
from torch import nn
from torch.nn.utils import parametrizations

torch.manual_seed(1)
torch.set_default_dtype(torch.float64)


def packed(t):
    return [list(t.shape), [round(v, 14) for v in t.detach().flatten().tolist()]]


def rounded(*shape):
    """Few digits, so that the file is short and exact."""
    return (torch.randn(shape) * 8).round() / 8


def case(name, module, shape, training=True):
    for p in module.parameters():
        p.data = rounded(*p.shape)
    module.train(training)
    state = {k: v.clone() for k, v in module.state_dict().items()}
    x = rounded(*shape).requires_grad_()
    y = module(x)
    y = y[0] if isinstance(y, tuple) else y
    dy = rounded(*y.shape)
    leaves = {"x": x, **dict(module.named_parameters())}
    gradients = torch.autograd.grad(y, list(leaves.values()), dy)
    return {
        "name": name, "training": training, "inputs": {"x": packed(x)}, "masks": {},
        "parameters": {k: packed(v) for k, v in state.items()}, "y": packed(y), "dy": packed(dy),
        "gradients": {k: packed(g) for k, g in zip(leaves, gradients)},
        "buffers": {k: packed(v) for k, v in module.named_buffers()},
    }


weight_norm, spectral_norm = parametrizations.weight_norm, parametrizations.spectral_norm
cases = [
    case("weight_norm linear", weight_norm(nn.Linear(3, 2)), (4, 3)),
    case("weight_norm conv", weight_norm(nn.Conv2d(2, 3, 2), dim=1), (1, 2, 3, 3)),
    case("weight_norm whole", weight_norm(nn.Linear(3, 2, bias=False), dim=None), (2, 3)),
    case("weight_norm bias", weight_norm(nn.Linear(3, 2), "bias"), (2, 3)),
    case("weight_norm rnn", weight_norm(nn.LSTM(2, 3, batch_first=True), "weight_hh_l0"), (1, 3, 2)),
    case("spectral_norm linear", spectral_norm(nn.Linear(3, 4)), (2, 3)),
    case("spectral_norm linear", spectral_norm(nn.Linear(3, 4)), (2, 3), training=False),
    case("spectral_norm thrice", spectral_norm(nn.Conv2d(2, 3, 2), n_power_iterations=3), (1, 2, 3, 3)),
    case("spectral_norm transposed", spectral_norm(nn.ConvTranspose2d(3, 2, 2)), (1, 3, 2, 2)),
    case("spectral_norm bias", spectral_norm(nn.Linear(3, 2), "bias"), (2, 3)),
    case("spectral_norm columns", spectral_norm(nn.Conv2d(2, 2, (2, 3)), dim=2), (1, 2, 3, 3)),
]
pathlib.Path(__file__).with_name("parametrization.json").write_text("[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]\n")
