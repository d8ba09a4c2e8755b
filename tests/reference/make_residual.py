#!/usr/bin/env python3
"""Writes residual.json: transformer layers under each normalization and residual layout, written from the papers' formulas
around PyTorch's attention: results and gradients in float64 without dropout. Tensors are [shape, values]."""
import json
import pathlib

import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(1)
torch.set_default_dtype(torch.float64)
D, HEADS, INNER, B, T, S, EPS = 4, 2, 3, 2, 3, 4, 1e-3  # an eps that shows


def packed(t):
    return [list(t.shape), [round(v, 14) for v in t.detach().flatten().tolist()]]


def rounded(*shape):
    """Few digits, so that the file is short and exact."""
    return (torch.randn(shape) * 8).round() / 8


class RMS(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(D))

    def forward(self, x):
        return x / (x.square().mean(-1, keepdim=True) + EPS).sqrt() * self.weight


class Scale(nn.Module):
    """g x / |x| with |x| taken over sqrt(D), so that g = 1 gives elements of variance 1."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, x):
        return self.weight * D**0.5 * x / (x.norm(dim=-1, keepdim=True).square() + D * EPS).sqrt()


NORMS = {"layer": lambda: nn.LayerNorm(D, EPS), "rms": RMS, "scale": Scale}
N, M = 3, 2  # layers of the stack, or of encoder and decoder
LAYOUTS = {  # what x is multiplied by, and whether there are gates instead of norms
    "plain": (1, False), "rezero": (1, True), "fixup": (1, True), "deep_norm": ((2 * N)**0.25, False),
    "deep_norm_encoder": (0.81 * (N**4 * M)**(1 / 16), False), "deep_norm_decoder": ((3 * M)**0.25, False)}


class Layer(nn.Module):
    def __init__(self, norm, layout, norm_first, cross):
        super().__init__()
        self.skip, gated = LAYOUTS[layout]
        self.norm_first, self.count = norm_first, 3 if cross else 2
        attention = lambda: nn.MultiheadAttention(D, HEADS, batch_first=True)
        self.self_attn, self.linear1, self.linear2 = attention(), nn.Linear(D, INNER), nn.Linear(INNER, D)
        if cross:
            self.multihead_attn = attention()
        for i in range(1, self.count + 1):
            if gated:
                setattr(self, f"gate{i}", nn.Parameter(torch.ones(())))
            else:
                setattr(self, f"norm{i}", NORMS[norm]())

    def branch(self, i, x, f):
        norm, gate = getattr(self, f"norm{i}", None), getattr(self, f"gate{i}", 1)
        if norm is None:
            return x * self.skip + gate * f(x)
        return x * self.skip + f(norm(x)) if self.norm_first else norm(x * self.skip + f(x))

    def forward(self, x, memory=None):
        causal = None if memory is None else torch.ones(x.shape[1], x.shape[1]).triu(1).bool()
        attend = lambda m, q, kv, mask=None: m(q, kv, kv, attn_mask=mask, need_weights=False)[0]
        x = self.branch(1, x, lambda v: attend(self.self_attn, v, v, causal))
        if memory is not None:
            x = self.branch(2, x, lambda v: attend(self.multihead_attn, v, memory))
        return self.branch(self.count, x, lambda v: self.linear2(F.relu(self.linear1(v))))


def case(norm, layout, norm_first, cross):
    module = Layer(norm, layout, norm_first, cross)
    for p in module.parameters():
        p.data = rounded(*p.shape)
    parameters = dict(module.named_parameters())
    inputs = {"x": rounded(B, T, D)} | ({"memory": rounded(B, S, D)} if cross else {})
    for t in inputs.values():
        t.requires_grad_()
    y = module(**inputs)
    dy = rounded(*y.shape)
    leaves = {**inputs, **parameters}
    gradients = torch.autograd.grad(y, list(leaves.values()), dy)
    return {"norm": norm, "layout": layout, "norm_first": norm_first, "cross": cross,
            "inputs": {k: packed(v) for k, v in inputs.items()}, "masks": {},
            "parameters": {k: packed(v) for k, v in parameters.items()}, "y": packed(y), "dy": packed(dy),
            "gradients": {k: packed(g) for k, g in zip(leaves, gradients)}}


cases = [case("layer", "deep_norm", False, False), case("layer", "deep_norm_encoder", False, False),
         case("layer", "deep_norm_decoder", False, True), case("rms", "plain", True, False),
         case("rms", "plain", False, True), case("rms", "deep_norm", False, False), case("scale", "plain", True, True),
         case("scale", "plain", False, False), case("scale", "deep_norm_decoder", False, True),
         case("layer", "rezero", False, False), case("layer", "rezero", True, True),
         case("layer", "fixup", False, False), case("layer", "fixup", False, True)]
pathlib.Path(__file__).with_name("residual.json").write_text("[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]\n")
