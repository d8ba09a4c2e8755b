#!/usr/bin/env python3
"""Writes preference.json: the losses of DPO and GRPO, by the formulas of their papers, with gradients, in float64. The
numbers are those of trl's DPOTrainer (loss_type sigmoid) and GRPOTrainer (loss_type grpo), whose code these lines
follow. Tensors are [shape, values]."""
import json
import pathlib

import torch
import torch.nn.functional as F

torch.manual_seed(1)
torch.set_default_dtype(torch.float64)


def packed(t):
    return [list(t.shape), [round(v, 14) for v in t.detach().flatten().tolist()]]


def rounded(*shape):
    return (torch.randn(*shape) * 8).round() / 8


def dpo(inputs, beta, smoothing):
    chosen, rejected, ref_chosen, ref_rejected = inputs
    logits = (chosen - rejected) - (ref_chosen - ref_rejected)
    return -F.logsigmoid(beta * logits) * (1 - smoothing) - F.logsigmoid(-beta * logits) * smoothing


def advantages(rewards):
    return (rewards - rewards.mean(1, keepdim=True)) / (rewards.std(1, keepdim=True) + 1e-4)


def grpo(inputs, epsilon, beta, weighted, mask):
    logps, old, ref, rewards = inputs
    a = advantages(rewards.detach()).flatten()[:, None]
    kl = torch.exp(ref - logps) - (ref - logps) - 1
    coef_1 = torch.exp(logps - old)
    coef_2 = torch.clamp(coef_1, 1 - epsilon, 1 + epsilon)
    loss = -torch.min(coef_1 * a, coef_2 * a) + beta * kl * (coef_1 if weighted else 1)
    return (loss * mask).sum(-1) / mask.sum(-1).clamp(min=1.0)


cases = []


def add(name, options, inputs, losses):
    dy = rounded(*losses.shape)
    gradients = torch.autograd.grad(losses, [x for x in inputs if x.requires_grad], dy)
    cases.append({"name": name, **options, "inputs": [packed(x) for x in inputs], "y": packed(losses), "dy": packed(dy),
                  "mean": losses.mean().item(), "gradients": [packed(g) for g in gradients]})


for beta, smoothing in ((0.1, 0), (0.5, 0.2)):
    inputs = [rounded(5) * 4 for _ in range(4)]
    for x in inputs[:2]:
        x.requires_grad_()
    add("dpo", {"beta": beta, "smoothing": smoothing}, inputs, dpo(inputs, beta, smoothing))

for weighted in (False, True):
    for lengths in ((4, 4, 4, 4, 4, 4), (4, 1, 3, 0, 2, 4)):
        mask = (torch.arange(4)[None] < torch.tensor(lengths)[:, None]).double()
        inputs = [-rounded(6, 4).abs() for _ in range(3)] + [rounded(2, 3)]
        inputs[0].requires_grad_()
        add("grpo", {"epsilon": 0.3, "beta": 0.5, "weighted": weighted, "mask": packed(mask)}, inputs,
            grpo(inputs, 0.3, 0.5, weighted, mask))
text = ",\n".join(json.dumps(c) for c in cases)
(pathlib.Path(__file__).parent / "preference.json").write_text(f"[\n{text}\n]\n")
