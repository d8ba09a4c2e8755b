#!/usr/bin/env python3
"""Writes peft.json: a small transformer under each way of fine-tuning it, written from the papers' formulas: result and
gradients in float64, and how AdaLoRA moves its budget. Tensors are [shape, values]."""
import json
import math
import pathlib

import torch
import torch.nn.functional as F

torch.manual_seed(1)
torch.set_default_dtype(torch.float64)
VOCABULARY, D, HEADS, INNER, B, T, LAYERS = 5, 4, 2, 6, 2, 4, 2
tokens = torch.randint(0, VOCABULARY, (B, T))


def packed(t):
    return [list(t.shape), [int(v) if t.dtype == torch.int64 else round(v, 14) for v in t.detach().flatten().tolist()]]


def rounded(*shape):
    """Few digits, so that the file is short and exact."""
    return (torch.randn(*shape) * 8).round() / 8


def base():
    p = {"token.weight": rounded(VOCABULARY, D)}
    for i in range(LAYERS):
        at = f"blocks.layers.{i}."
        shapes = {
            "self_attn.in_proj_weight": (3 * D, D), "self_attn.in_proj_bias": (3 * D,),
            "self_attn.out_proj.weight": (D, D), "self_attn.out_proj.bias": (D,), "linear1.weight": (INNER, D),
            "linear1.bias": (INNER,), "linear2.weight": (D, INNER), "linear2.bias": (D,), "norm1.weight": (D,),
            "norm1.bias": (D,), "norm2.weight": (D,), "norm2.bias": (D,)}
        p.update({at + name: rounded(*shape) for name, shape in shapes.items()})
    p["head.weight"] = rounded(VOCABULARY, D)
    return p


BASE = base()


def linear_names():
    """What LoRA and AdaLoRA are put on: two parts of the fused projection, and a linear layer."""
    for i in range(LAYERS):
        at = f"blocks.layers.{i}."
        yield at + "self_attn.in_proj_weight.q", slice(0, D)
        yield at + "self_attn.in_proj_weight.v", slice(2 * D, 3 * D)
        yield at + "linear1.weight", slice(None)


def model(p, adapter=lambda name, h: h, prefix=None, prompt=None, scale=lambda name, x: x):
    """Pre-norm transformer layers with causal attention: logits (B, T, VOCABULARY)."""
    x = p["token.weight"][tokens]
    if prompt is not None:
        x = torch.cat([prompt.expand(B, *prompt.shape), x], 1)
    n = x.shape[1]
    for i in range(LAYERS):
        at = f"blocks.layers.{i}."
        h = F.layer_norm(x, (D,), p[at + "norm1.weight"], p[at + "norm1.bias"])
        q, k, v = (h @ p[at + "self_attn.in_proj_weight"].T + p[at + "self_attn.in_proj_bias"]).chunk(3, -1)
        k, v = scale(at + "k", k), scale(at + "v", v)
        q, k, v = (t.view(B, n, HEADS, D // HEADS).transpose(1, 2) for t in (q, k, v))
        seen = torch.ones(n, n, dtype=torch.bool).tril()
        if prefix is not None:
            pk, pv = (t.expand(B, *t.shape) for t in prefix(i))
            k, v = torch.cat([pk, k], 2), torch.cat([pv, v], 2)
            seen = torch.cat([torch.ones(n, pk.shape[2], dtype=torch.bool), seen], 1)
        scores = (q @ k.transpose(2, 3) / math.sqrt(D // HEADS)).masked_fill(~seen, -torch.inf)
        y = (scores.softmax(-1) @ v).transpose(1, 2).reshape(B, n, D)
        y = y @ p[at + "self_attn.out_proj.weight"].T + p[at + "self_attn.out_proj.bias"]
        x = x + adapter(at + "self_attn", y)
        h = F.layer_norm(x, (D,), p[at + "norm2.weight"], p[at + "norm2.bias"])
        h = F.relu(h @ p[at + "linear1.weight"].T + p[at + "linear1.bias"])
        y = scale(at + "ffn", h) @ p[at + "linear2.weight"].T + p[at + "linear2.bias"]
        x = x + adapter(at + "linear2", y)
    y = F.layer_norm(x, (D,), torch.ones(D), torch.zeros(D)) @ p["head.weight"].T
    return y if prompt is None else y[:, prompt.shape[0]:]


def with_changes(changes):
    """The base with changes added to rows of its matrices."""
    p = dict(BASE)
    for (name, rows), change in zip(linear_names(), changes):
        parameter = name.removesuffix(".q").removesuffix(".v")
        whole = torch.zeros_like(p[parameter])
        whole[rows] = change
        p[parameter] = p[parameter] + whole
    return p


def case(name, parameters, call, **options):
    for t in parameters.values():
        t.requires_grad_()
    y = call(parameters)
    dy = rounded(*y.shape)
    gradients = torch.autograd.grad(y, list(parameters.values()), dy)
    return {"name": name, **options, "parameters": {k: packed(v) for k, v in parameters.items()}, "y": packed(y),
            "dy": packed(dy), "gradients": {k: packed(g) for k, g in zip(parameters, gradients)}}


def lora():
    r, alpha = 2, 3
    q = {}
    for name, rows in linear_names():
        out = D if rows != slice(None) else INNER
        q[name + ".lora_A"], q[name + ".lora_B"] = rounded(r, D), rounded(out, r)
    return case("lora", q, lambda q: model(with_changes(
        [alpha / r * q[n + ".lora_B"] @ q[n + ".lora_A"] for n, _ in linear_names()])), r=r, alpha=alpha)


def triplets(r, scale=1.0):
    q = {}
    for name, rows in linear_names():
        out = D if rows != slice(None) else INNER
        q[name + ".lora_P"], q[name + ".lora_s"], q[name + ".lora_Q"] = (
            scale * rounded(out, r), scale * rounded(r), scale * rounded(r, D))
    return q


def adalora_model(q, r, alpha):
    return model(with_changes(
        [alpha / r * q[n + ".lora_P"] @ torch.diag(q[n + ".lora_s"]) @ q[n + ".lora_Q"] for n, _ in linear_names()]))


def penalty(q):
    total = 0
    for name, _ in linear_names():
        p, o = q[name + ".lora_P"], q[name + ".lora_Q"]
        eye = torch.eye(p.shape[1])
        total = total + ((p.T @ p - eye) ** 2).sum() + ((o @ o.T - eye) ** 2).sum()
    return 0.5 * total


def adalora():
    r, alpha = 3, 2
    return case("adalora", triplets(r), lambda q: adalora_model(q, r, alpha) + penalty(q), r=r, alpha=alpha)


def adalora_budget():
    """Plain gradient descent on |logits|^2 / 2 + penalty, with Algorithm 1 of arXiv:2303.10512."""
    r, target, alpha, steps, initial, final, interval, rate, beta1, beta2 = 4, 2, 2, 12, 2, 3, 2, 0.001, 0.85, 0.8
    names = [n for n, _ in linear_names()]
    q = triplets(r, 0.5)
    start = {k: packed(v) for k, v in q.items()}
    mean, deviation = ({k: torch.zeros_like(v) for k, v in q.items()} for _ in range(2))
    kept = {n: torch.ones(r) for n in names}
    budgets, ranks = [], []
    for step in range(1, steps + 1):
        q = {k: v.detach().requires_grad_() for k, v in q.items()}
        loss = 0.5 * (adalora_model(q, r, alpha) ** 2).sum() + penalty(q)
        gradients = dict(zip(q, torch.autograd.grad(loss, list(q.values()))))
        q = {k: (v - rate * gradients[k]).detach() for k, v in q.items()}
        last = steps - final
        if step <= last:
            for k, v in q.items():
                importance = (v * gradients[k]).abs()
                mean[k] = beta1 * mean[k] + (1 - beta1) * importance
                deviation[k] = beta2 * deviation[k] + (1 - beta2) * (importance - mean[k]).abs()
        n = len(names)
        if step <= initial:
            budget = n * r
        elif step >= last:
            budget = n * target
        else:
            budget = n * target + int(n * (r - target) * (1 - (step - initial) / (last - initial)) ** 3)
        if step == last or (initial < step < last and step % interval == 0):
            s = {k: mean[k] * deviation[k] for k in q}
            scores = torch.cat([s[n + ".lora_s"] + s[n + ".lora_P"].mean(0) + s[n + ".lora_Q"].mean(1) for n in names])
            mask = torch.zeros(len(scores))
            mask[scores.argsort(descending=True)[:budget]] = 1
            kept = dict(zip(names, mask.split(r)))
        if step > initial and (step >= last or step % interval == 0):
            for n in names:
                q[n + ".lora_s"] = q[n + ".lora_s"] * kept[n]
        budgets.append(budget)
        ranks.append([int(kept[n].sum()) for n in names])
    return {"name": "adalora budget", "r": r, "target_r": target, "alpha": alpha, "steps": steps, "initial": initial,
            "final": final, "interval": interval, "rate": rate, "beta1": beta1, "beta2": beta2, "parameters": start,
            "budgets": budgets, "ranks": ranks,
            "end": {k: packed(v) for k, v in (
                q | {k.replace("lora_", "mean_"): v for k, v in mean.items()}
                | {k.replace("lora_", "deviation_"): v for k, v in deviation.items()}).items()}}


def ia3():
    q = {}
    for i in range(LAYERS):
        at = f"blocks.layers.{i}."
        q[at + "self_attn.in_proj_weight.k.ia3_l"] = rounded(D)
        q[at + "self_attn.in_proj_weight.v.ia3_l"] = rounded(D)
        q[at + "linear2.weight.ia3_l"] = rounded(INNER)
    where = {"k": "self_attn.in_proj_weight.k", "v": "self_attn.in_proj_weight.v", "ffn": "linear2.weight"}

    def scale(q):
        return lambda name, x: x * q[name[:16] + where[name[16:]] + ".ia3_l"]

    return case("ia3", q, lambda q: model(BASE, scale=scale(q)))


def adapters():
    q = {}
    for i in range(LAYERS):
        for name in ("self_attn", "linear2"):
            at = f"blocks.layers.{i}.{name}.adapter."
            q[at + "down.weight"], q[at + "down.bias"] = rounded(3, D), rounded(3)
            q[at + "up.weight"], q[at + "up.bias"] = rounded(D, 3), rounded(D)

    def adapter(q):
        def f(name, h):
            at = name + ".adapter."
            inside = F.gelu(h @ q[at + "down.weight"].T + q[at + "down.bias"])
            return h + inside @ q[at + "up.weight"].T + q[at + "up.bias"]
        return f

    return case("adapter", q, lambda q: model(BASE, adapter=adapter(q)))


def prefix_tuning():
    length, hidden = 3, 5
    n = LAYERS * 2 * D
    q = {"prefix.tokens": rounded(length, D), "prefix.down.weight": rounded(hidden, D), "prefix.down.bias":
         rounded(hidden), "prefix.up.weight": rounded(n, hidden), "prefix.up.bias": rounded(n)}

    def prefix(q):
        values = torch.tanh(q["prefix.tokens"] @ q["prefix.down.weight"].T + q["prefix.down.bias"])
        values = values @ q["prefix.up.weight"].T + q["prefix.up.bias"]
        parts = values.view(length, LAYERS, 2, HEADS, D // HEADS).permute(1, 2, 3, 0, 4)
        return lambda i: parts[i]

    return case("prefix", q, lambda q: model(BASE, prefix=prefix(q)))


def prompt_tuning():
    return case("prompt", {"prompt.weight": rounded(3, D)}, lambda q: model(BASE, prompt=q["prompt.weight"]))


result = {
    "tokens": packed(tokens), "base": {k: packed(v) for k, v in BASE.items()}, "y": packed(model(BASE)),
    "cases": [lora(), adalora(), ia3(), adapters(), prefix_tuning(), prompt_tuning()],
    "budget": adalora_budget(),
}
pathlib.Path(__file__).with_name("peft.json").write_text(json.dumps(result, separators=(",", ":")) + "\n")
