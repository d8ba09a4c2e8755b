#!/usr/bin/env python3
"""Writes decay.json: RetNet's retention, gated linear attention, Mamba, Mamba-2, RWKV-4 and mLSTM layers, written from
the formulas of their papers, token by token, for float64 inputs; and the gradients of the input and the parameters under
a random cotangent. Tensors are [shape, values]."""
import json
import math
import pathlib

import torch
import torch.nn.functional as F

torch.manual_seed(1)
torch.set_default_dtype(torch.float64)
B, T, D, H = 2, 4, 4, 2


def packed(t):
    return [list(t.shape), [round(v, 12) for v in t.detach().flatten().tolist()]]


def rounded(*shape):
    """Few digits, so that the file is short and exact."""
    return (torch.randn(*shape) * 8).round() / 8


def heads(x, n):
    return x.unflatten(2, (n, x.shape[2] // n))  # (B, T, n, d / n)


def rms(x, eps):
    return x / (x.square().mean(-1, keepdim=True) + eps).sqrt()


def rotated(x):
    """x (B, T, H, dk): pair i at place m turned by m 10000^-linspace(0, 1, dk/2)_i."""
    pairs = x.shape[3] // 2
    theta = 10000 ** -torch.linspace(0, 1, pairs)
    angle = torch.arange(x.shape[1])[:, None, None] * theta
    a, b = x[..., 0::2], x[..., 1::2]
    return torch.stack([a * angle.cos() - b * angle.sin(), a * angle.sin() + b * angle.cos()], -1).flatten(-2)


def matrices(q, k, v, decay):
    """q, k (B, T, H, m), v (B, T, H, n), decay (B, T, H, m or 1) -> (B, T, H, n)."""
    s, rows = torch.zeros(B, q.shape[2], q.shape[3], v.shape[3]), []
    for t in range(T):
        s = decay[:, t, :, :, None] * s + k[:, t, :, :, None] * v[:, t, :, None, :]
        rows.append((q[:, t, :, :, None] * s).sum(2))
    return torch.stack(rows, 1)


def retention(x, p):
    q, k = rotated(heads(x @ p["q_proj.weight"].T, H)), rotated(heads(x @ p["k_proj.weight"].T, H))
    v = heads(x @ p["v_proj.weight"].T, H)
    g = (1 - 2.0 ** (-5 - torch.arange(H)))[None, None, :, None].expand(B, T, H, 1)
    o = rms(matrices(q, k / math.sqrt(q.shape[3]), v, g), 1e-6).flatten(2)
    return (F.silu(x @ p["g_proj.weight"].T) * o) @ p["out_proj.weight"].T


def gated(x, p):
    q, k, v = (heads(x @ p[n + "_proj.weight"].T, H) for n in "qkv")
    gate = x @ p["gate_down.weight"].T @ p["gate_up.weight"].T + p["gate_up.bias"]
    a = heads(torch.sigmoid(gate) ** (1 / 16), H)
    o = rms(matrices(q / math.sqrt(q.shape[3]), k, v, a), 1e-5) * p["norm.weight"]
    return (F.silu(x @ p["g_proj.weight"].T) * o.flatten(2)) @ p["out_proj.weight"].T


def conv(x, p):
    y = F.conv1d(F.pad(x.transpose(1, 2), (3, 0)), p["conv1d.weight"], p["conv1d.bias"], groups=x.shape[2])
    return F.silu(y.transpose(1, 2))


def mamba(x, p):
    n, rank = p["A_log"].shape[1], p["dt_proj.weight"].shape[1]
    u, z = (x @ p["in_proj.weight"].T).chunk(2, -1)
    u = conv(u, p)
    dt, b, c = (u @ p["x_proj.weight"].T).split([rank, n, n], -1)
    dt = F.softplus(dt @ p["dt_proj.weight"].T + p["dt_proj.bias"])
    h, rows = torch.zeros(B, u.shape[2], n), []
    for t in range(T):
        h = torch.exp(-dt[:, t, :, None] * p["A_log"].exp()) * h + (dt * u)[:, t, :, None] * b[:, t, None, :]
        rows.append((h * c[:, t, None, :]).sum(2) + p["D"] * u[:, t])
    return (torch.stack(rows, 1) * F.silu(z)) @ p["out_proj.weight"].T


def mamba2(x, p):
    inner, groups, n = 8, 1, 3
    z, xbc, dt = (x @ p["in_proj.weight"].T).split([inner, inner + 2 * groups * n, 2], -1)
    u, b, c = conv(xbc, p).split([inner, n, n], -1)
    dt = F.softplus(dt + p["dt_bias"])[..., None]
    u = heads(u, 2)
    b, c = (t[:, :, None].expand(B, T, 2, n) for t in (b, c))
    y = matrices(c, b, u * dt, torch.exp(-dt * p["A_log"].exp()[:, None])) + u * p["D"][:, None]
    return (rms(y.flatten(2) * F.silu(z), 1e-5) * p["norm.weight"]) @ p["out_proj.weight"].T


def shifted(x):
    return F.pad(x, (0, 0, 1, 0))[:, :-1]


def mix(x, mu):
    return mu * x + (1 - mu) * shifted(x)


def time_mix(x, p):
    k, v, r = (mix(x, p["time_mix_" + n]) @ p[name + ".weight"].T
               for n, name in (("k", "key"), ("v", "value"), ("r", "receptance")))
    w, u = -p["time_decay"].exp(), p["time_first"]
    aa, bb, pp = torch.zeros(B, D), torch.zeros(B, D), torch.full((B, D), -1e38)
    rows = []
    for t in range(T):  # the stable form of the paper
        own = u + k[:, t]
        top = torch.maximum(pp, own)
        e1, e2 = (pp - top).exp(), (own - top).exp()
        rows.append((e1 * aa + e2 * v[:, t]) / (e1 * bb + e2))
        top = torch.maximum(pp + w, k[:, t])
        e1, e2 = (pp + w - top).exp(), (k[:, t] - top).exp()
        aa, bb, pp = e1 * aa + e2 * v[:, t], e1 * bb + e2, top
    return (torch.sigmoid(r) * torch.stack(rows, 1)) @ p["output.weight"].T


def channel_mix(x, p):
    k = F.relu(mix(x, p["time_mix_k"]) @ p["key.weight"].T) ** 2
    return torch.sigmoid(mix(x, p["time_mix_r"]) @ p["receptance.weight"].T) * (k @ p["value.weight"].T)


def mlstm(x, p):
    q, k, v = (heads(x @ p[n + "_proj.weight"].T, H) for n in "qkv")
    k = k / math.sqrt(k.shape[3])
    i = (x @ p["i_gate.weight"].T + p["i_gate.bias"]).exp()
    f = torch.sigmoid(x @ p["f_gate.weight"].T + p["f_gate.bias"])
    c, n, rows = torch.zeros(B, H, D // H, D // H), torch.zeros(B, H, D // H), []
    for t in range(T):
        c = f[:, t, :, None, None] * c + i[:, t, :, None, None] * k[:, t, :, :, None] * v[:, t, :, None, :]
        n = f[:, t, :, None] * n + i[:, t, :, None] * k[:, t]
        total = (n * q[:, t]).sum(-1, keepdim=True).abs().clamp(min=1)
        rows.append((q[:, t, :, :, None] * c).sum(2) / total)
    y = F.layer_norm(torch.stack(rows, 1), (D // H,)).flatten(2)
    return (torch.sigmoid(x @ p["g_proj.weight"].T) * y * p["norm_weight"]) @ p["out_proj.weight"].T


def projections(**sizes):
    return {name + ".weight": size for name, size in sizes.items()}


SHAPES = {
    "Retention": (retention, projections(q_proj=(4, 4), k_proj=(4, 4), v_proj=(8, 4), g_proj=(8, 4), out_proj=(4, 8))),
    "GatedLinearAttention": (gated, projections(q_proj=(4, 4), k_proj=(4, 4), v_proj=(4, 4), g_proj=(4, 4),
                                                gate_down=(3, 4), gate_up=(4, 3)) |
                             {"gate_up.bias": (4,), "norm.weight": (2,)} | projections(out_proj=(4, 4))),
    "Mamba": (mamba, projections(in_proj=(16, 4), conv1d=(8, 1, 4)) | {"conv1d.bias": (8,)} |
              projections(x_proj=(8, 8), dt_proj=(8, 2)) | {"dt_proj.bias": (8,), "A_log": (8, 3), "D": (8,)} |
              projections(out_proj=(4, 8))),
    "Mamba2": (mamba2, projections(in_proj=(24, 4), conv1d=(14, 1, 4)) |
               {"conv1d.bias": (14,), "dt_bias": (2,), "A_log": (2,), "D": (2,), "norm.weight": (8,)} |
               projections(out_proj=(4, 8))),
    "RwkvTimeMix": (time_mix, {n: (4,) for n in ("time_mix_k", "time_mix_v", "time_mix_r", "time_decay", "time_first")} |
                    projections(key=(4, 4), value=(4, 4), receptance=(4, 4), output=(4, 4))),
    "RwkvChannelMix": (channel_mix, {n: (4,) for n in ("time_mix_k", "time_mix_r")} |
                       projections(key=(6, 4), value=(4, 6), receptance=(4, 4))),
    "MLSTM": (mlstm, projections(q_proj=(4, 4), k_proj=(4, 4), v_proj=(4, 4), g_proj=(4, 4), i_gate=(2, 4)) |
              {"i_gate.bias": (2,)} | projections(f_gate=(2, 4)) | {"f_gate.bias": (2,), "norm_weight": (4,)} |
              projections(out_proj=(4, 4))),
}

cases = []
for name, (function, shapes) in SHAPES.items():
    parameters = {n: rounded(*shape).requires_grad_() for n, shape in shapes.items()}
    x = rounded(B, T, D).requires_grad_()
    y = function(x, parameters)
    dy = rounded(*y.shape)
    leaves = {"x": x, **parameters}
    gradients = torch.autograd.grad(y, list(leaves.values()), dy)
    cases.append({
        "name": name, "inputs": {"x": packed(x)}, "masks": {}, "parameters": {n: packed(p) for n, p in parameters.items()}, "y": packed(y),
        "dy": packed(dy), "gradients": {n: packed(g) for n, g in zip(leaves, gradients)},
    })
text = ",\n".join(json.dumps(c) for c in cases)
(pathlib.Path(__file__).parent / "decay.json").write_text(f"[\n{text}\n]\n")
