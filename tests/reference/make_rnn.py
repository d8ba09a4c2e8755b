#!/usr/bin/env python3
"""Writes rnn.json: what PyTorch's recurrent layers and cells give for float64 inputs, and their gradients under random
cotangents. Tensors are [shape, values]; states that are left out are null."""
import json
import pathlib

import torch
from torch import nn

torch.manual_seed(1)
torch.set_default_dtype(torch.float64)


def packed(t):
    return None if t is None else [list(t.shape), t.detach().flatten().tolist()]


def rounded(*shape):
    """Few digits, so that the file is short and exact."""
    return (torch.randn(*shape) * 8).round() / 8


def case(kind, sizes, x, states, **options):
    module = getattr(nn, kind)(*sizes, **options)
    for p in module.parameters():
        p.data = rounded(*p.shape) / 2
    inputs = [t.requires_grad_() for t in [x, *states] if t is not None]
    given = tuple(states) if len(states) > 1 else states[0]
    out = module(x, None if states[0] is None else given)
    if "Cell" in kind:
        outputs = list(out) if isinstance(out, tuple) else [out]
    else:
        outputs = [out[0], *(out[1] if isinstance(out[1], tuple) else [out[1]])]
    cotangents = [rounded(*y.shape) for y in outputs]
    gradients = torch.autograd.grad(outputs, inputs + list(module.parameters()), cotangents)
    return {
        "kind": kind, "sizes": sizes, "options": options, "x": packed(x), "states": [packed(t) for t in states],
        "parameters": {n: packed(p) for n, p in module.named_parameters()}, "outputs": [packed(y) for y in outputs],
        "cotangents": [packed(t) for t in cotangents], "gradients": [packed(g) for g in gradients],
    }


cases = []
for kind in ("RNN", "GRU", "LSTM"):
    def states(layers, batch, hidden, out=None):
        h = rounded(layers, *batch, out or hidden)
        return [h, rounded(layers, *batch, hidden)] if kind == "LSTM" else [h]

    nothing = [None, None] if kind == "LSTM" else [None]
    cases += [
        case(kind, [3, 2], rounded(4, 2, 3), states(1, [2], 2)),
        case(kind, [2, 3], rounded(3, 1, 2), nothing, num_layers=2, bidirectional=True),
        case(kind, [2, 2], rounded(2, 3, 2), states(2, [2], 2), num_layers=2, batch_first=True, bias=False),
        case(kind, [2, 2], rounded(3, 2), states(2, [], 2), bidirectional=True),
    ]
    cases.append(case(kind + "Cell", [3, 2], rounded(2, 3), [rounded(2, 2) for _ in nothing]))
    cases.append(case(kind + "Cell", [2, 2], rounded(2), nothing, bias=False))
kind = "LSTM"
cases += [
    case("LSTM", [2, 3], rounded(3, 2, 2), states(4, [2], 3, 2), num_layers=2, bidirectional=True, proj_size=2),
    case("RNN", [2, 2], rounded(3, 2, 2), [rounded(1, 2, 2)], nonlinearity="relu"),
]
pathlib.Path(__file__).with_name("rnn.json").write_text("[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]\n")
