#!/usr/bin/env python3
"""Writes state_space.json: HiPPO's systems and memories, and S4 with its gradients, in float64, written from the
formulas of the papers with complex matrices, loops over time and torch's solve. Nothing here is a convolution, and
nothing knows of poles."""
import json
import math
import pathlib

import torch

torch.manual_seed(1)
torch.set_default_dtype(torch.float64)


def flat(t):
    t = t.detach()
    if t.is_complex():
        t = torch.view_as_real(t)
    return [list(t.shape), t.flatten().tolist()]


def legs(N):
    n = torch.arange(N, dtype=torch.float64)
    s = torch.sqrt(2 * n + 1)
    return -(torch.tril(torch.outer(s, s), -1) + torch.diag(n + 1)), s


def legt(N, w):
    n = torch.arange(N)
    s = torch.sqrt(2.0 * n + 1)
    sign = torch.where(n[None] <= n[:, None], 1.0, (-1.0) ** (n[:, None] - n[None]))
    return -torch.outer(s, s) * sign / w, s / w


def fourier(N, w, ends=1):
    """Complex, for n = -M .. M."""
    n = torch.arange(N) - N // 2
    A = torch.diag(2j * math.pi * n.to(torch.complex128)) - ends
    return A / w, ends * torch.ones(N, dtype=torch.complex128) / w


def fout(N, w):
    return fourier(N, w, 2)


def discretized(A, B, dt, method):
    I = torch.eye(len(A), dtype=A.dtype)
    if method == "forward_euler":
        return I + dt * A, dt * B
    if method == "backward_euler":
        return torch.linalg.inv(I - dt * A), torch.linalg.solve(I - dt * A, dt * B)
    if method == "bilinear":
        return torch.linalg.solve(I - dt / 2 * A, I + dt / 2 * A), torch.linalg.solve(I - dt / 2 * A, dt * B)
    # the integral of e^(s A) B over a step, by Simpson's rule with many nodes: it needs no inverse
    nodes = 2001
    s = torch.linspace(0, dt, nodes)
    weight = torch.ones(nodes)
    weight[1:-1:2], weight[2:-1:2] = 4, 2
    integral = sum(w * torch.matrix_exp(A * t) for w, t in zip(weight * dt / (3 * (nodes - 1)), s))
    return torch.matrix_exp(dt * A), integral @ B


def memory(A, B, u):
    c, all_c = torch.zeros(len(B), dtype=A.dtype), []
    for t in range(len(u)):
        c = A @ c + B * u[t]
        all_c.append(c)
    return torch.stack(all_c)


def legs_memory(N, u):
    A, B = legs(N)
    I = torch.eye(N)
    c, all_c = torch.zeros(N), []
    for k, v in enumerate(u, start=1):
        c = torch.linalg.solve(I - A / (2 * (k + 1)), (I + A / (2 * k)) @ c + B * v / k)
        all_c.append(c)
    return torch.stack(all_c)


def real_coordinates(c):
    """c_0, sqrt(2) Re c_1, sqrt(2) Im c_1, .. of (.., 2M + 1)."""
    M = c.shape[-1] // 2
    columns = [c[..., M].real]
    for m in range(1, M + 1):
        assert torch.allclose(c[..., M - m], c[..., M + m].conj())
        columns += [math.sqrt(2) * c[..., M + m].real, math.sqrt(2) * c[..., M + m].imag]
    return torch.stack(columns, -1)


def s4(x, log_dt, A_real, A_imag, P, B, C, D, weight, bias, length, glu):
    """x (B, T, d). All N coordinates of each channel, a dense recurrence, and C from the weights of the cut kernel."""
    channels = []
    for c in range(x.shape[2]):
        def both(half):
            return torch.cat([half, half.conj()])
        L = both(torch.complex(-torch.exp(A_real[c]), A_imag[c]))
        p, b, ct = (both(torch.view_as_complex(v[c].contiguous())) for v in (P, B, C))
        A = torch.diag(L) - torch.outer(p, p.conj())
        Ab, Bb = discretized(A, b, torch.exp(log_dt[c]), "bilinear")
        I = torch.eye(len(L), dtype=A.dtype)
        true_c = torch.linalg.solve((I - torch.linalg.matrix_power(Ab, length)).T, ct)
        h, ys = torch.zeros(x.shape[0], len(L), dtype=A.dtype), []
        for t in range(x.shape[1]):
            h = h @ Ab.T + x[:, t, c, None] * Bb
            ys.append((h @ true_c).real)
        channels.append(torch.stack(ys, 1))
    y = torch.nn.functional.gelu(torch.stack(channels, 2) + D * x)
    y = torch.nn.functional.linear(y, weight, bias)
    return torch.nn.functional.glu(y, -1) if glu else y


result = {"hippo": [], "s4": []}
u = torch.randn(12)
for measure, N in (("legs", 5), ("legt", 4), ("fourier", 5), ("fout", 3)):
    if measure == "legs":
        result["hippo"].append({"measure": measure, "size": N, "u": flat(u), "c": flat(legs_memory(N, u))})
        continue
    for method in ("forward_euler", "backward_euler", "bilinear", "zero_order_hold"):
        w, dt = 1.5, 0.03
        A, B = {"legt": legt, "fourier": fourier, "fout": fout}[measure](N, w)
        c = memory(*discretized(A, B, dt, method), u)
        result["hippo"].append({"measure": measure, "size": N, "window": w, "step": dt, "method": method, "u": flat(u),
                                "c": flat(real_coordinates(c) if c.is_complex() else c)})

d, half, length = 2, 3, 9
for T, glu in ((9, True), (6, False)):
    leaf = lambda *shape, scale=1.0, mean=0.0: (torch.randn(shape) * scale + mean).requires_grad_()
    values = {"x": leaf(2, T, d), "log_dt": leaf(d, scale=0.5, mean=-1.5), "A_real": leaf(d, half, scale=0.3, mean=-0.7),
              "A_imag": leaf(d, half, scale=3.0), "P": leaf(d, half, 2), "B": leaf(d, half, 2), "C": leaf(d, half, 2),
              "D": leaf(d), "out_proj.weight": leaf(2 * d if glu else d, d), "out_proj.bias": leaf(2 * d if glu else d)}
    y = s4(*values.values(), length=length, glu=glu)
    dy = torch.randn_like(y)
    gradients = torch.autograd.grad(y, list(values.values()), dy)
    result["s4"].append({"length": length, "glu": glu, "values": {k: flat(v) for k, v in values.items()}, "y": flat(y),
                         "dy": flat(dy), "gradients": {k: flat(g) for k, g in zip(values, gradients)}})

path = pathlib.Path(__file__).with_name("state_space.json")
path.write_text(json.dumps(result, separators=(",", ":")).replace('{"measure"', '\n{"measure"').replace('{"length"',
                                                                                                       '\n{"length"') + "\n")
print(path.name, path.stat().st_size)
