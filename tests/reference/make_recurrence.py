#!/usr/bin/env python3
"""Writes recurrence.json: recurrent layers that PyTorch does not have, written anew in PyTorch from their formulas and
step by step, for float64 inputs, and the gradients of inputs and parameters under a random cotangent. Tensors are
[shape, values]; masks are bool, true for what is no padding."""
import json
import pathlib

import torch
import torch.nn.functional as F

torch.manual_seed(3)
torch.set_default_dtype(torch.float64)
D, B, T = 3, 2, 6


def packed(t):
    values = t.detach().flatten().tolist()
    return [list(t.shape), [int(v) if t.dtype == torch.bool else round(v, 14) for v in values]]


def rounded(*shape):
    """Few digits, so that the file is short and exact."""
    return (torch.randn(*shape) * 8).round() / 8


PADDED = torch.tensor([[1, 1, 0, 1, 1, 1], [0, 0, 1, 1, 0, 1]], dtype=torch.bool)
cases = []


def case(name, layer, parameters, key_mask=None, **options):
    x = rounded(B, T, D).requires_grad_()
    p = {k: (rounded(*shape) - 2 * (k == "log_dt")).requires_grad_() for k, shape in parameters.items()}
    y = layer(x, p, torch.ones(B, T, dtype=torch.bool) if key_mask is None else key_mask, **options)
    dy = rounded(*y.shape)
    leaves = {"x": x, **p}
    gradients = torch.autograd.grad(y, list(leaves.values()), dy)
    cases.append({
        "name": name, **options, "inputs": {"x": packed(x)},
        "masks": {} if key_mask is None else {"key_mask": packed(key_mask)},
        "parameters": {k: packed(v) for k, v in p.items()}, "y": packed(y), "dy": packed(dy),
        "gradients": {k: packed(g) for k, g in zip(leaves, gradients)},
    })


def minimal(x, p, kept, hidden=D, positive=True, lstm=False):
    *gates, candidate = F.linear(x, p["in_proj.weight"], p["in_proj.bias"]).split(hidden, 2)
    g = torch.where(candidate > 0, candidate + 0.5, torch.sigmoid(candidate)) if positive else candidate
    h, ys = torch.zeros(B, hidden), []
    for t in range(T):
        if lstm:
            f, i = (torch.sigmoid(gate[:, t]) for gate in gates)
            new = f / (f + i) * h + i / (f + i) * g[:, t]
        else:
            z = torch.sigmoid(gates[0][:, t])
            new = (1 - z) * h + z * g[:, t]
        h = torch.where(kept[:, t, None], new, h)
        ys.append(h)
    y = torch.stack(ys, 1)
    return y @ p["out_proj_weight"].T if hidden != D else y


def lru(x, p, kept):
    lam = torch.exp(torch.complex(-torch.exp(p["nu_log"]), torch.exp(p["theta_log"])))
    into = torch.complex(p["B"][:, 0], p["B"][:, 1]) * torch.exp(p["gamma_log"])[:, None]
    out = torch.view_as_complex(p["C"])
    u = x * kept[..., None]
    h, ys = torch.zeros(B, lam.shape[0], dtype=torch.complex128), []
    for t in range(T):
        h = lam * h + u[:, t].to(torch.complex128) @ into.T
        ys.append((h @ out.T).real + p["D"] * u[:, t])
    return torch.stack(ys, 1)


def s4d(x, p, kept, method="zero_order_hold", glu=True):
    a = torch.complex(-torch.exp(p["A_real"]), p["A_imag"])
    dt = torch.exp(p["log_dt"])[:, None]
    step, into = {"zero_order_hold": lambda: (torch.exp(dt * a), (torch.exp(dt * a) - 1) / a),
                  "bilinear": lambda: ((1 + dt * a / 2) / (1 - dt * a / 2), dt / (1 - dt * a / 2)),
                  "forward_euler": lambda: (1 + dt * a, dt + 0 * a),
                  "backward_euler": lambda: (1 / (1 - dt * a), dt / (1 - dt * a))}[method]()
    u = x * kept[..., None]
    h, ys = torch.zeros(B, D, a.shape[1], dtype=torch.complex128), []
    for t in range(T):
        h = step * h + into * u[:, t, :, None]
        ys.append(2 * (torch.view_as_complex(p["C"]) * h).sum(-1).real + p["D"] * u[:, t])
    y = F.linear(F.gelu(torch.stack(ys, 1)), p["out_proj.weight"], p["out_proj.bias"])
    return F.glu(y) if glu else y


for mask in (None, PADDED):
    for lstm in (False, True):
        case("minimal", minimal, {"in_proj.weight": ((2 + lstm) * D, D), "in_proj.bias": ((2 + lstm) * D,)}, mask,
             positive=mask is None, lstm=lstm)
        case("minimal", minimal, {"in_proj.weight": ((2 + lstm) * 2, D), "in_proj.bias": ((2 + lstm) * 2,),
                                  "out_proj_weight": (D, 2)}, mask, hidden=2, lstm=lstm)
    for n in (3, 2):
        case("lru", lru, {"nu_log": (n,), "theta_log": (n,), "gamma_log": (n,), "B": (n, 2, D), "C": (D, n, 2),
                          "D": (D,)}, mask)
    for method in ("zero_order_hold", "bilinear") if mask is None else ("forward_euler", "backward_euler"):
        for outputs in (D, 2 * D):
            case("s4d", s4d, {"log_dt": (D,), "A_real": (D, 2), "A_imag": (D, 2), "C": (D, 2, 2), "D": (D,),
                              "out_proj.weight": (outputs, D), "out_proj.bias": (outputs,)}, mask, method=method,
                 glu=outputs > D)

text = "[\n" + ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases) + "\n]\n"
pathlib.Path(__file__).with_name("recurrence.json").write_text(text)
print(len(cases), len(text))
