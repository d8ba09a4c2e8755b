#!/usr/bin/env python3
"""Writes activation.json: what PyTorch's activations give for float64 inputs, and their gradients under a cotangent.
Elementwise functions share the points `x`, with kinks and large values among them, and give [y, dy/dx, d2y/dx2]; null
stands for a second derivative that PyTorch does not have. The others have inputs of their own.

PyTorch's hardsigmoid has a slope of 1/6 in float32 even for float64, and celu rounds 1/alpha so: the first is taken by
its definition, and alpha is a power of 2."""
import json
import math
import pathlib

import torch
import torch.nn.functional as F

POINTS = [-1e4, -30, -6.5, -3, -2.3, -1.2, -1, -0.7518, -0.5, -0.3, -1e-3, 0, 1e-3, 0.4, 0.5, 0.9, 1, 1.7, 3, 3.5, 6,
          9.25, 1e4]
ELEMENTWISE = {
    "threshold": lambda x: F.threshold(x, 0.4, 20), "relu": F.relu, "relu6": F.relu6, "leaky_relu": F.leaky_relu,
    "relu_squared": lambda x: F.relu(x).square(), "rrelu": F.rrelu, "elu": lambda x: F.elu(x, 1.5),
    "celu": lambda x: F.celu(x, 0.5), "selu": F.selu, "gelu": F.gelu, "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"), "silu": F.silu, "mish": F.mish,
    "softplus": lambda x: F.softplus(x, 2, 10), "log_sigmoid": F.logsigmoid, "sigmoid": torch.sigmoid, "tanh": torch.tanh,
    "softsign": F.softsign, "hardsigmoid": lambda x: F.relu6(x + 3) / 6, "hardswish": F.hardswish, "hardtanh": F.hardtanh,
    "softshrink": F.softshrink, "hardshrink": F.hardshrink, "tanhshrink": F.tanhshrink,
}


def finite(t):
    return [v if math.isfinite(v) else None for v in t.tolist()]


def elementwise(function):
    x = torch.tensor(POINTS, dtype=torch.float64, requires_grad=True)
    y = function(x)
    first, = torch.autograd.grad(y.sum(), x, create_graph=True)
    try:
        second, = torch.autograd.grad(first.sum(), x)
    except RuntimeError:  # it does not have all of them
        second = torch.full_like(x, math.nan)
    return [finite(y), finite(first), finite(second)]


def packed(t):
    return [list(t.shape), t.detach().flatten().tolist()]


def rounded(*shape):
    """Few digits, so that the file is short and exact."""
    return (torch.randn(*shape, dtype=torch.float64) * 8).round() / 8


def case(op, function, *inputs):
    for t in inputs:
        t.requires_grad_()
    y = function(*inputs)
    dy = rounded(*y.shape)
    return {"op": op, "inputs": [packed(t) for t in inputs], "y": packed(y), "dy": packed(dy),
            "gradients": [packed(g) for g in torch.autograd.grad(y, inputs, dy)]}


torch.manual_seed(1)
cases = [
    case("prelu", F.prelu, rounded(2, 3, 2), rounded(3)), case("prelu", F.prelu, rounded(5), rounded(1)),
    case("softmax", lambda x: F.softmax(x, 1), rounded(2, 3, 2)),
    case("log_softmax", lambda x: F.log_softmax(x, 1), rounded(2, 3, 2)),
    case("softmin", lambda x: F.softmin(x, 1), rounded(2, 3, 2)), case("glu", lambda x: F.glu(x, 1), rounded(2, 4, 3)),
]
lines = ['"x": ' + json.dumps(POINTS)] + [f'"{name}": {json.dumps(elementwise(f))}' for name, f in ELEMENTWISE.items()]
lines.append('"cases": [\n' + ",\n".join(json.dumps(c) for c in cases) + "\n]")
pathlib.Path(__file__).with_name("activation.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
