#!/usr/bin/env python3
"""Writes optim.json: where PyTorch's optimizers take two float64 parameters in 1, 2, 10 and 100 steps.

Element i of a parameter p has the gradient slope[i] * p[i] + sin(0.1 * t * (i + 1)) in step t = 1, 2, ...
"""
import json
import pathlib

import torch

INITIAL = [[0.5, -1.25, 2.0, 0.0, -0.75, 1.5], [1.0, -2.0, 0.25]]
SLOPES = [[0.3, 1.1, 0.7, 2.0, 0.05, 1.6], [0.9, 0.2, 1.3]]
CASES = [
    ("SGD", dict(lr=0.05)),
    ("SGD", dict(lr=0.05, weight_decay=0.1)),
    ("SGD", dict(lr=0.05, momentum=0.9)),
    ("SGD", dict(lr=0.05, momentum=0.9, dampening=0.3, weight_decay=0.01)),
    ("SGD", dict(lr=0.05, momentum=0.8, nesterov=True, weight_decay=0.01)),
    ("SGD", dict(lr=0.001, momentum=0.5, maximize=True, weight_decay=0.1)),
    ("Adam", dict(lr=0.02)),
    ("Adam", dict(lr=0.02, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.1)),
    ("Adam", dict(lr=0.02, weight_decay=0.01, amsgrad=True)),
    ("Adam", dict(lr=0.02, weight_decay=0.01, maximize=True)),
    ("AdamW", dict(lr=0.02)),
    ("AdamW", dict(lr=0.02, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.3)),
    ("AdamW", dict(lr=0.02, amsgrad=True)),
    ("AdamW", dict(lr=0.02, maximize=True)),
]


def run(name, options):
    parameters = [torch.tensor(p, dtype=torch.float64, requires_grad=True) for p in INITIAL]
    slopes = [torch.tensor(s, dtype=torch.float64) for s in SLOPES]
    optimizer = getattr(torch.optim, name)(parameters, **options)
    result = {}
    for t in range(1, 101):
        for p, slope in zip(parameters, slopes):
            i = torch.arange(len(p), dtype=torch.float64)
            p.grad = slope * p.detach() + torch.sin(0.1 * t * (i + 1))
        optimizer.step()
        if t in (1, 2, 10, 100):
            result[str(t)] = [p.tolist() for p in parameters]
    return {"optimizer": name, "options": options, "after": result}


def main():
    data = {"initial": INITIAL, "slopes": SLOPES, "cases": [run(*case) for case in CASES]}
    path = pathlib.Path(__file__).with_name("optim.json")
    cases = ",\n  ".join(map(json.dumps, data.pop("cases")))
    path.write_text(json.dumps(data)[:-1] + ', "cases": [\n  ' + cases + "\n]}\n")


if __name__ == "__main__":
    main()
