#!/usr/bin/env python3
"""Writes transforms.json: what the transforms of torch.autograd.functional give for a layer y = softmax(tanh(x w + b)),
and for its loss sum(y^3). Tensors are [shape, values]; lists follow the inputs x, w, b."""
import json
import pathlib

import torch
from torch.autograd import functional as F

torch.manual_seed(1)
torch.set_default_dtype(torch.float64)


def packed(t):
    return [packed(s) for s in t] if isinstance(t, tuple) else [list(t.shape), t.detach().flatten().tolist()]


def rounded(*shape):
    """Few digits, so that the file is short and exact."""
    return (torch.randn(*shape) * 8).round() / 8


def layer(x, w, b):
    return torch.softmax(torch.tanh(x @ w + b), -1)


def loss(x, w, b):
    return (layer(x, w, b) ** 3).sum()


inputs = (rounded(2, 3), rounded(3, 2), rounded(2))
tangents = tuple(rounded(*t.shape) for t in inputs)
cotangent = rounded(2, 2)
hessian_of_b = lambda b: F.hessian(lambda c: loss(*inputs[:2], c), b, create_graph=True)
cases = {
    "inputs": inputs, "tangents": tangents, "cotangent": (cotangent,),
    "value": (layer(*inputs),), "loss": (loss(*inputs),),
    "vjp": F.vjp(layer, inputs, cotangent)[1], "jvp": (F.jvp(layer, inputs, tangents)[1],),
    "gradient": F.vjp(loss, inputs)[1], "hvp": F.hvp(loss, inputs, tangents)[1], "vhp": F.vhp(loss, inputs, tangents)[1],
    "jacobian": F.jacobian(layer, inputs), "hessian": F.hessian(loss, inputs),
    "third": (F.jacobian(hessian_of_b, inputs[2]),),
}
lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(packed(t))}" for name, t in cases.items())
pathlib.Path(__file__).with_name("transforms.json").write_text("{\n" + lines + "\n}\n")
