#!/usr/bin/env python3
"""Writes delta.json: DeltaNet, gated DeltaNet and RWKV-7's time mixing, written from the formulas of their papers, token
by token, for float64 inputs; and the gradients of the input and the parameters under a random cotangent. Tensors are
[shape, values]; masks are bool, true for what may be seen."""
import json
import math
import pathlib

import torch
import torch.nn.functional as F

torch.manual_seed(1)
torch.set_default_dtype(torch.float64)
B, T, D, H = 2, 5, 4, 2


def packed(t):
    return [list(t.shape), [int(v) if t.dtype == torch.bool else round(v, 14) for v in t.detach().flatten().tolist()]]


def rounded(*shape):
    """Few digits, so that the file is short and exact."""
    return (torch.randn(*shape) * 8).round() / 8


def heads(x):
    return x.unflatten(2, (H, x.shape[2] // H))  # (B, T, H, d / H)


def unit(x, eps):
    return x / (x.square().sum(-1, keepdim=True) + eps).sqrt()


def delta_net(x, p, key_mask=None, gated=False):
    seen = torch.ones(B, T, dtype=torch.bool) if key_mask is None else key_mask
    x = x * seen[:, :, None]

    def filtered(name):
        y, weight = x @ p[f"{name}_proj.weight"].T, p[f"{name}_filter.weight"]
        y = F.conv1d(F.pad(y.mT, (weight.shape[2] - 1, 0)), weight, groups=y.shape[2]).mT
        return heads(F.silu(y))

    q, k, v = filtered("q"), unit(filtered("k"), 1e-6), filtered("v")
    q = unit(q, 1e-6) / math.sqrt(q.shape[3])
    beta = torch.sigmoid(x @ p["b_proj.weight"].T) * seen[:, :, None]
    decay = torch.ones(B, T, H)
    if gated:
        decay = (-p["a_log"].exp() * F.softplus(x @ p["a_proj.weight"].T + p["dt_bias"]) * seen[:, :, None]).exp()
    s, rows = torch.zeros(B, H, v.shape[3], k.shape[3]), []  # as in the papers: values by keys
    for t in range(T):
        kt, identity = k[:, t, :, :, None], torch.eye(k.shape[3])
        b, a = beta[:, t, :, None, None], decay[:, t, :, None, None]
        s = a * (s @ (identity - b * kt @ kt.mT)) + b * v[:, t, :, :, None] @ kt.mT
        rows.append((s @ q[:, t, :, :, None])[..., 0])
    o = torch.stack(rows, 1)
    o = o / (o.square().mean(-1, keepdim=True) + 1e-5).sqrt() * p["norm.weight"]
    y = o.flatten(2)
    if gated:
        y = F.silu(x @ p["g_proj.weight"].T) * y
    return y @ p["out_proj.weight"].T


def rwkv7(x, p, key_mask=None):
    seen = (torch.ones(B, T, dtype=torch.bool) if key_mask is None else key_mask)[:, :, None]
    x = x * seen
    xx = F.pad(x, (0, 0, 1, 0))[:, :-1] - x
    mixed = {c: x + xx * p[f"x_{c}"] for c in "rwkvag"}
    r, k, v = (mixed[c] @ p[f"{name}.weight"].T for c, name in zip("rkv", ("receptance", "key", "value")))
    w = -F.softplus(-(p["w0"] + torch.tanh(mixed["w"] @ p["w1"]) @ p["w2"])) - 0.5  # as in the authors' code
    w = torch.where(seen, torch.exp(-torch.exp(w)), 1.0)
    a = torch.sigmoid(p["a0"] + mixed["a"] @ p["a1"] @ p["a2"])
    g = torch.sigmoid(mixed["g"] @ p["g1"]) @ p["g2"]
    kk = unit(heads(k * p["k_k"]), 1e-12)
    k = k * (1 + (a - 1) * p["k_a"]) * seen
    r, k, v, w, a = map(heads, (r, k, v, w, a * seen))
    s, rows = torch.zeros(B, H, D // H, D // H), []  # values by keys
    for t in range(T):
        removed = kk[:, t, :, :, None]
        s = (s * w[:, t, :, None, :] - s @ removed @ (a[:, t] * kk[:, t])[:, :, None, :]
             + v[:, t, :, :, None] @ k[:, t, :, None, :])
        rows.append((s @ r[:, t, :, :, None])[..., 0])
    o = torch.stack(rows, 1)
    y = F.group_norm(o.flatten(2).flatten(0, 1), H, p["norm.weight"], p["norm.bias"], 64e-5).view(B, T, D)
    y = y + ((r * k * p["r_k"]).sum(-1, keepdim=True) * v).flatten(2)
    return (y * g) @ p["output.weight"].T


DELTA = {"q_proj.weight": (6, 4), "k_proj.weight": (6, 4), "v_proj.weight": (4, 4), "b_proj.weight": (2, 4),
         "q_filter.weight": (6, 1, 3), "k_filter.weight": (6, 1, 3), "v_filter.weight": (4, 1, 3), "norm.weight": (2,),
         "out_proj.weight": (4, 4)}
GATED = DELTA | {"a_proj.weight": (2, 4), "g_proj.weight": (4, 4), "a_log": (2,), "dt_bias": (2,)}
RWKV7 = {**{name: (4,) for name in "x_r x_w x_k x_v x_a x_g w0 a0 k_k k_a norm.weight norm.bias".split()},
         **{f"{c}1": (4, 3) for c in "wag"}, **{f"{c}2": (3, 4) for c in "wag"}, "r_k": (2, 2),
         **{f"{name}.weight": (4, 4) for name in ("receptance", "key", "value", "output")}}
PADDED = torch.tensor([[1, 1, 0, 1, 1], [0, 1, 1, 1, 0]], dtype=torch.bool)

cases = []
for name, function, shapes in (("DeltaNet", delta_net, DELTA),
                               ("GatedDeltaNet", lambda x, p, m: delta_net(x, p, m, True), GATED),
                               ("Rwkv7TimeMix", rwkv7, RWKV7)):
    for key_mask in (None, PADDED):
        parameters = {n: rounded(*shape).requires_grad_() for n, shape in shapes.items()}
        x = rounded(B, T, D).requires_grad_()
        y = function(x, parameters, key_mask)
        dy = rounded(*y.shape)
        leaves = {"x": x, **parameters}
        gradients = torch.autograd.grad(y, list(leaves.values()), dy)
        cases.append({
            "name": name, "inputs": {"x": packed(x)}, "masks": {} if key_mask is None else {"key_mask": packed(key_mask)},
            "parameters": {n: packed(p) for n, p in parameters.items()}, "y": packed(y), "dy": packed(dy),
            "gradients": {n: packed(g) for n, g in zip(leaves, gradients)},
        })
text = ",\n".join(json.dumps(c) for c in cases)
(pathlib.Path(__file__).parent / "delta.json").write_text(f"[\n{text}\n]\n")
