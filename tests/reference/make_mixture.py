#!/usr/bin/env python3
"""Writes mixture.json: mixtures of experts, token by token as their papers have them, in evaluation and in float64. What
a case gives is the output and, behind it, the loss; and the gradients of the input and the parameters. Tensors are
[shape, values]."""
import json
import math
import pathlib

import torch

torch.manual_seed(3)
torch.set_default_dtype(torch.float64)
N, D, INNER, OUT = 7, 3, 4, 2
BALANCE, Z = 0.5, 0.25  # so large that the losses weigh something


def packed(t):
    return [list(t.shape), [round(v, 12) for v in t.detach().flatten().tolist()]]


def rounded(*shape):
    return (torch.randn(*shape) * 8).round() / 8


def expert(p, prefix, x):
    h = torch.tanh(x @ p[prefix + "0.weight"].T + p[prefix + "0.bias"])
    return h @ p[prefix + "2.weight"].T + p[prefix + "2.bias"]


def cv2(x):
    return ((x - x.mean()) ** 2).mean() / (x.mean() ** 2 + 1e-10)


def z_loss(z):
    return sum(torch.log(torch.exp(row).sum()) ** 2 for row in z) / max(len(z), 1)


def noisy_gates(x, p, prefix, k):
    """Of one router: the gates of each token by expert (0 elsewhere), and P of each token and expert; no noise."""
    clean, deviation = x @ p[prefix + "weight"].T, torch.log1p(torch.exp(x @ p[prefix + "noise_weight"].T))
    gates, load = [], []
    for h, s in zip(clean, deviation):
        best = sorted(range(len(h)), key=lambda i: (-h[i].item(), i))[:k]
        total = sum(torch.exp(h[i]) for i in best)
        gates.append(torch.stack([torch.exp(h[i]) / total if i in best else h[i] * 0 for i in range(len(h))]))
        row = []
        for i in range(len(h)):
            others = sorted((h[j] for j in range(len(h)) if j != i), key=lambda v: -v.item())
            row.append((1 + torch.erf((h[i] - others[k - 1]) / s[i] / math.sqrt(2))) / 2)
        load.append(torch.stack(row))
    return clean, torch.stack(gates), torch.stack(load)


def noisy(x, p, k, **_):
    clean, gates, load = noisy_gates(x, p, "router.", k)
    y = torch.stack([sum(g[e] * expert(p, f"experts.{e}.", v) for e in range(len(g)) if g[e] != 0)
                     for g, v in zip(gates, x)])
    return y, BALANCE * (cv2(gates.sum(0)) + cv2(load.sum(0))) + Z * z_loss(clean)


def chosen(x, p, count, capacity, dense=False):
    """softmax, then the `count` largest; gates of two are divided by their sum."""
    z = x @ p["router.weight"].T
    prob, experts = torch.softmax(z, 1), z.shape[1]
    y = [torch.zeros(OUT) for _ in x]
    taken = [0] * experts
    order = [sorted(range(experts), key=lambda i: (-row[i].item(), i))[:count] for row in z]
    for choice in range(count):
        for t in range(len(x)):
            e = order[t][choice]
            if capacity and taken[e] == math.ceil(capacity * len(x) / experts):
                continue
            taken[e] += 1
            gate = prob[t, e] if count != 2 else prob[t, e] / (prob[t, order[t][0]] + prob[t, order[t][1]])
            y[t] = y[t] + gate * expert(p, f"experts.{e}.", x[t])
    f = torch.tensor([sum(o[0] == e for o in order) / len(x) for e in range(experts)])
    balance = 0 if dense else BALANCE * experts * (f * prob.mean(0)).sum()
    return torch.stack(y), balance + Z * z_loss(z)


def two_levels(x, p, **_):
    clean, gates, load = noisy_gates(x, p, "router.", 2)
    y = [torch.zeros(OUT) for _ in x]
    importance, loads, zs = [], [], []
    for i in range(gates.shape[1]):
        own = [t for t in range(len(x)) if gates[t, i] != 0]
        low_clean, low_gates, low_load = noisy_gates(x[own], p, f"groups.{i}.router.", 1)
        zs.append(z_loss(low_clean))
        for j in range(2):
            importance.append(sum(gates[t, i] * low_gates[n, j] for n, t in enumerate(own)))
            loads.append(load[:, i].sum() * low_load[:, j].sum() / len(own))
            for n, t in enumerate(own):
                y[t] = y[t] + gates[t, i] * low_gates[n, j] * expert(p, f"groups.{i}.experts.{j}.", x[t])
    return torch.stack(y), (BALANCE * (cv2(torch.stack(importance)) + cv2(torch.stack(loads))) +
                            Z * (z_loss(clean) + sum(zs) / len(zs)))


def experts_shapes(prefix, count):
    return {f"{prefix}{e}.{n}": s for e in range(count)
            for n, s in {"0.weight": (INNER, D), "0.bias": (INNER,), "2.weight": (OUT, INNER), "2.bias": (OUT,)}.items()}


def router_shapes(prefix, count, noise):
    return {prefix + "weight": (count, D)} | ({prefix + "noise_weight": (count, D)} if noise else {})


def one_level(noise=False, count=4):
    return router_shapes("router.", count, noise) | experts_shapes("experts.", count)


groups = router_shapes("router.", 3, True)
for i in range(3):
    groups |= router_shapes(f"groups.{i}.router.", 2, True) | experts_shapes(f"groups.{i}.experts.", 2)

CASES = [
    ("dense", {}, one_level(), lambda x, p, **_: chosen(x, p, 4, 0, True)),
    ("noisy_top_k", {"k": 1}, one_level(True), noisy),
    ("noisy_top_k", {"k": 2}, one_level(True), noisy),
    ("switch_top_1", {"capacity": 0}, one_level(), lambda x, p, capacity: chosen(x, p, 1, capacity)),
    ("switch_top_1", {"capacity": 0.75}, one_level(), lambda x, p, capacity: chosen(x, p, 1, capacity)),
    ("gshard_top_2", {"capacity": 0}, one_level(), lambda x, p, capacity: chosen(x, p, 2, capacity)),
    ("gshard_top_2", {"capacity": 1}, one_level(), lambda x, p, capacity: chosen(x, p, 2, capacity)),
    ("two_levels", {}, groups, two_levels),
]

cases = []
for name, options, shapes, function in CASES:
    parameters = {n: rounded(*shape).requires_grad_() for n, shape in shapes.items()}
    x = rounded(N, D).requires_grad_()
    output, loss = function(x, parameters, **options)
    y = torch.cat([output.flatten(), loss.reshape(1)])
    dy = rounded(*y.shape)
    dy[-1] = 2
    leaves = {"x": x, **parameters}
    gradients = torch.autograd.grad(y, list(leaves.values()), dy, allow_unused=True)
    gradients = [torch.zeros_like(v) if g is None else g for v, g in zip(leaves.values(), gradients)]
    cases.append({
        "name": name, **options, "inputs": {"x": packed(x)}, "masks": {},
        "parameters": {n: packed(p) for n, p in parameters.items()}, "y": packed(y),
        "dy": packed(dy), "gradients": {n: packed(g) for n, g in zip(leaves, gradients)},
    })
text = ",\n".join(json.dumps(c) for c in cases)
(pathlib.Path(__file__).parent / "mixture.json").write_text(f"[\n{text}\n]\n")
