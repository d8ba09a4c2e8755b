#!/usr/bin/env python3
"""Writes encodings.json: encodings of positions written anew in PyTorch from their formulas, for float64 inputs, and the
gradients of inputs and parameters under a random cotangent. Tensors are [shape, values]."""
import json
import pathlib

import torch

torch.manual_seed(4)
torch.set_default_dtype(torch.float64)


def packed(t):
    return [list(t.shape), [round(v, 14) for v in t.detach().flatten().tolist()]]


def rounded(*shape):
    """Few digits, so that the file is short and exact."""
    return (torch.randn(*shape) * 8).round() / 8


cases = []


def case(name, call, inputs, shapes, **options):
    inputs = {k: v.requires_grad_() for k, v in inputs.items()}
    p = {k: rounded(*shape).requires_grad_() for k, shape in shapes.items()}
    y = call(p, **inputs)
    dy = rounded(*y.shape)
    leaves = {**inputs, **p}
    gradients = torch.autograd.grad(y, list(leaves.values()), dy)
    cases.append({
        "name": name, **options, "inputs": {k: packed(v) for k, v in inputs.items()}, "masks": {},
        "parameters": {k: packed(v) for k, v in p.items()}, "y": packed(y), "dy": packed(dy),
        "gradients": {k: packed(g) for k, g in zip(leaves, gradients)},
    })


def floater(p, x, step=0.5, substeps=2, start=1):
    def h(t, s):
        s = torch.cat([s, torch.tensor([t])])
        s = torch.tanh(p["dynamics.0.weight"] @ s + p["dynamics.0.bias"])
        return p["dynamics.2.weight"] @ s + p["dynamics.2.bias"]

    s, t, dt, rows = p["initial"], 0.0, step / substeps, []
    for k in range(start + x.shape[-2]):
        rows.append(s)
        for n in range(substeps):
            t = k * step + n * dt
            a = h(t, s)
            b = h(t + dt / 2, s + dt / 2 * a)
            c = h(t + dt / 2, s + dt / 2 * b)
            d = h(t + dt, s + dt * c)
            s = s + dt / 6 * (a + 2 * b + 2 * c + d)
    return x + torch.stack(rows[start:])


def words(p):
    tokens = torch.tensor([[0, 1, 4], [2, 2, 0]])
    k = torch.arange(3)[:, None]

    def of(name):
        table = p["0." + name]
        return table if table.shape[0] == 1 else table[tokens]

    angle = of("frequency") * k + of("phase")
    z = of("amplitude") * torch.complex(angle.cos(), angle.sin())
    w = z @ torch.complex(p["1.real"], p["1.imag"]).T + torch.view_as_complex(p["1.bias"])
    return w.abs()


case("floater", floater, {"x": rounded(2, 4, 4)},
     {"initial": (4,), "dynamics.0.weight": (8, 5), "dynamics.0.bias": (8,), "dynamics.2.weight": (4, 8),
      "dynamics.2.bias": (4,)})
linear = {"1.real": (3, 4), "1.imag": (3, 4), "1.bias": (3, 2)}
case("complex", words, {}, {"0.amplitude": (5, 4), "0.frequency": (5, 4), "0.phase": (5, 4), **linear})
case("complex", words, {}, {"0.amplitude": (5, 4), "0.frequency": (1, 4), "0.phase": (5, 1), **linear}, shared=True)
pathlib.Path(__file__).with_name("encodings.json").write_text("[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]\n")
