#!/usr/bin/env python3
"""Writes positions.json: multi-head attention with positions by distance, written anew in PyTorch from the formulas with
a vector for each pair (T, T, dh), for float64 inputs, and the gradients of inputs and parameters under a random
cotangent. Tensors are [shape, values]; masks are bool, true for what may be seen."""
import json
import math
import pathlib

import torch

torch.manual_seed(3)
torch.set_default_dtype(torch.float64)
D, H, B, T = 4, 2, 2, 5
DH = D // H
distance = torch.arange(T)[:, None] - torch.arange(T)
causal_mask = distance >= 0
key_mask = torch.tensor([[1, 1, 1, 1, 1], [0, 1, 1, 1, 0]], dtype=torch.bool)


def packed(t):
    values = t.detach().flatten().tolist()
    return [list(t.shape), [int(v) if t.dtype == torch.bool else round(v, 14) for v in values]]


def rounded(*shape):
    """Few digits, so that the file is short and exact."""
    return (torch.randn(*shape) * 8).round() / 8


def heads(x):
    return x.view(*x.shape[:-1], H, DH).movedim(-2, -3)  # (.., H, T, dh)


def softmax(s, mask, causal):
    seen = torch.ones(B, 1, T, T, dtype=torch.bool) & mask[:, None, None, :]
    if causal:
        seen = seen & causal_mask
    return torch.nan_to_num(torch.softmax(s.masked_fill(~seen, -math.inf), -1))


def sinusoids(positions, width, base=10000.0):
    angle = positions[..., None] * base ** (-torch.arange(0, width, 2) / width)
    return torch.stack([angle.sin(), angle.cos()], -1).flatten(-2)


def shaw(q, k, v, p, reach):
    r = distance.clamp(-reach, reach) + reach
    a = p["positions.key_rows"][r] if "positions.key_rows" in p else torch.zeros(T, T, DH)
    c = p["positions.value_rows"][r] if "positions.value_rows" in p else torch.zeros(T, T, DH)
    s = torch.einsum("bhid,bhijd->bhij", q, k[:, :, None] + a) / math.sqrt(DH)
    return s, v[:, :, None] + c


def transformer_xl(q, k, v, p):
    r = (sinusoids(distance.double(), D) @ p["positions.proj.weight"].T).view(T, T, H, DH)
    u, w = p["positions.content_bias"], p["positions.position_bias"]
    s = torch.einsum("bhid,bhjd->bhij", q + u[:, None], k) + torch.einsum("bhid,ijhd->bhij", q + w[:, None], r)
    return s / math.sqrt(DH), v[:, :, None].expand(-1, -1, T, -1, -1)


def disentangled(q, k, v, p, reach, content_position=True, position_content=True, same_index=False):
    table, terms = p["positions.weight"], 1
    index = (distance + reach).clamp(0, 2 * reach - 1)
    s = q @ k.transpose(-1, -2)
    if content_position:
        kr = heads(table @ p["positions.key_proj.weight"].T)
        s, terms = s + torch.einsum("bhid,hijd->bhij", q, kr[:, index]), terms + 1
    if position_content:
        qr = heads(table @ p["positions.query_proj.weight"].T)
        s, terms = s + torch.einsum("bhjd,hijd->bhij", k, qr[:, index if same_index else index.T]), terms + 1
    return s / math.sqrt(terms * DH), v[:, :, None].expand(-1, -1, T, -1, -1)


def xpos(q, k, v, p, scale, center):
    def turned(x, sign):
        m = torch.arange(T).double()
        i = torch.arange(0, DH, 2)
        angle = m[:, None] * 10000.0 ** (-i / DH)
        z = ((i + 0.4 * DH) / (1.4 * DH)) ** (sign * (m[:, None] - center) / scale)
        a, b = x[..., 0::2], x[..., 1::2]
        y = [(a * angle.cos() - b * angle.sin()) * z, (a * angle.sin() + b * angle.cos()) * z]
        return torch.stack(y, -1).flatten(-2)

    return turned(q, 1) @ turned(k, -1).transpose(-1, -2) / math.sqrt(DH), v[:, :, None].expand(-1, -1, T, -1, -1)


FORMS = {"shaw": shaw, "transformer_xl": transformer_xl, "disentangled": disentangled, "xpos": xpos}
cases = []


def case(name, positions, causal=False, mask=None, **options):
    shapes = {"in_proj_weight": (3 * D, D), "in_proj_bias": (3 * D,), "out_proj.weight": (D, D), "out_proj.bias": (D,),
              **{"positions." + k: v for k, v in positions.items()}}
    x = rounded(B, T, D).requires_grad_()
    p = {k: rounded(*shape).requires_grad_() for k, shape in shapes.items()}
    q, k, v = map(heads, (x @ p["in_proj_weight"].T + p["in_proj_bias"]).chunk(3, -1))
    s, values = FORMS[name](q, k, v, p, **options)
    weights = softmax(s, torch.ones(B, T, dtype=torch.bool) if mask is None else mask, causal)
    z = torch.einsum("bhij,bhijd->bhid", weights, values)
    y = z.transpose(1, 2).flatten(2) @ p["out_proj.weight"].T + p["out_proj.bias"]
    dy = rounded(*y.shape)
    leaves = {"x": x, **p}
    gradients = torch.autograd.grad(y, list(leaves.values()), dy)
    cases.append({
        "name": name, "causal": causal, **options, "inputs": {"x": packed(x)},
        "masks": {} if mask is None else {"key_mask": packed(mask)}, "parameters": {k: packed(v) for k, v in p.items()},
        "y": packed(y), "dy": packed(dy),
        "gradients": {k: packed(g) for k, g in zip(leaves, gradients)},
    })


rows = {"key_rows": (5, DH), "value_rows": (5, DH)}
case("shaw", rows, reach=2)
case("shaw", rows, reach=2, causal=True, mask=key_mask)
case("shaw", {"key_rows": (3, DH)}, reach=1, mask=key_mask)
case("shaw", {"value_rows": (1, DH)}, reach=0)
xl = {"content_bias": (H, DH), "position_bias": (H, DH), "proj.weight": (D, D)}
case("transformer_xl", xl, causal=True)
case("transformer_xl", xl, mask=key_mask)
tables = {"weight": (4, D), "query_proj.weight": (D, D), "key_proj.weight": (D, D)}
case("disentangled", tables, reach=2)
case("disentangled", tables, reach=2, same_index=True, mask=key_mask)
first = {k: v for k, v in tables.items() if k != "query_proj.weight"}
second = {k: v for k, v in tables.items() if k != "key_proj.weight"}
case("disentangled", second, reach=2, content_position=False, causal=True)
case("disentangled", first, reach=2, position_content=False)
case("xpos", {}, causal=True, scale=4.0, center=2.0)
pathlib.Path(__file__).with_name("positions.json").write_text("[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]\n")
