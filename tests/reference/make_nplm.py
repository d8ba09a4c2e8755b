#!/usr/bin/env python3
"""Writes nplm.json: the neural probabilistic language model written from its formula for PyTorch in float64, and the
gradients of the parameters under a random cotangent. Tensors are [shape, values]."""
import json
import pathlib

import torch

torch.manual_seed(1)
torch.set_default_dtype(torch.float64)
V, N, M = 6, 4, 3


def packed(t):
    return [list(t.shape), [round(v, 12) for v in t.detach().flatten().tolist()]]


def rounded(*shape):
    """Few digits, so that the file is short and exact."""
    return (torch.randn(*shape) * 8).round() / 8


cases = []
for hidden, direct in [(5, True), (5, False), (0, True), (0, False)]:
    p = {"C": rounded(V, M), "b": rounded(V)}
    if hidden:
        p |= {"H": rounded(hidden, (N - 1) * M), "d": rounded(hidden), "U": rounded(V, hidden)}
    if direct:
        p["W"] = rounded(V, (N - 1) * M)
    for t in p.values():
        t.requires_grad_()
    tokens = torch.tensor([[0, 1, 2], [3, 1, 1]])  # 4 and 5 are never looked up
    rows = []
    for row in tokens:
        x = torch.cat([p["C"][w] for w in row])
        y = p["b"]
        if direct:
            y = y + p["W"] @ x
        if hidden:
            y = y + p["U"] @ torch.tanh(p["d"] + p["H"] @ x)
        rows.append(y)
    y, dy = torch.stack(rows), rounded(2, V)
    y.backward(dy)
    cases.append({"hidden": hidden, "direct": direct, "tokens": [list(tokens.shape), tokens.flatten().tolist()],
                  "parameters": {name: packed(t) for name, t in p.items()}, "y": packed(y), "dy": packed(dy),
                  "gradients": {name: packed(t.grad if t.grad is not None else torch.zeros_like(t))
                                for name, t in p.items()}})
pathlib.Path(__file__).with_name("nplm.json").write_text(json.dumps({"order": N, "width": M, "vocabulary": V,
                                                                       "cases": cases}) + "\n")
