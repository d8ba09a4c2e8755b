#!/usr/bin/env python3
"""Writes optim.json: where PyTorch's optimizers take two float64 parameters in 1, 2, 10 and 100 steps.

Element i of a parameter p has the gradient slope[i] * p[i] + sin(0.1 * t * (i + 1)) in step t = 1, 2, ...

PyTorch keeps NAdam's product of momenta in the default dtype: float64 here, for its path to be exact.
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
    ("Adam", dict(lr=0.02, weight_decay=0.3, decoupled_weight_decay=True)),
    ("NAdam", dict()),
    ("NAdam", dict(lr=0.02, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.1, momentum_decay=0.05)),
    ("NAdam", dict(lr=0.02, weight_decay=0.3, decoupled_weight_decay=True, maximize=True)),
    ("RAdam", dict()),
    ("RAdam", dict(lr=0.02, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.1)),
    ("RAdam", dict(lr=0.02, weight_decay=0.3, decoupled_weight_decay=True, maximize=True)),
    ("RAdam", dict(lr=0.02, betas=(0.5, 0.5))),
    ("Adamax", dict()),
    ("Adamax", dict(lr=0.02, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.1)),
    ("Adamax", dict(lr=0.02, weight_decay=0.01, maximize=True)),
    ("Adadelta", dict()),
    ("Adadelta", dict(lr=0.5, rho=0.8, eps=1e-3, weight_decay=0.1)),
    ("Adadelta", dict(lr=2.0, weight_decay=0.01, maximize=True)),
    ("Adagrad", dict()),
    ("Adagrad", dict(lr=0.1, lr_decay=0.05, weight_decay=0.1, initial_accumulator_value=0.5, eps=1e-3)),
    ("Adagrad", dict(lr=0.1, maximize=True)),
    ("RMSprop", dict()),
    ("RMSprop", dict(lr=0.02, alpha=0.9, eps=1e-3, weight_decay=0.1)),
    ("RMSprop", dict(lr=0.005, momentum=0.9)),
    ("RMSprop", dict(lr=0.005, centered=True, maximize=True)),
    ("RMSprop", dict(lr=0.005, alpha=0.95, eps=1e-4, centered=True, momentum=0.8, weight_decay=0.01)),
    ("Lion", dict(lr=0.01)),
    ("Lion", dict(lr=0.01, betas=(0.8, 0.95), weight_decay=0.3)),
    ("Lion", dict(lr=0.01, maximize=True)),
    ("Rprop", dict()),
    ("Rprop", dict(lr=0.1, etas=(0.3, 1.5), step_sizes=(1e-3, 0.2))),
    ("Rprop", dict(lr=0.05, maximize=True)),
]


class Lion(torch.optim.Optimizer):
    """PyTorch has none; this is the algorithm of the paper, line by line."""

    def __init__(self, parameters, lr=1e-4, betas=(0.9, 0.99), weight_decay=0.0, maximize=False):
        super().__init__(parameters, dict(lr=lr, betas=betas, weight_decay=weight_decay, maximize=maximize))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            for p in group["params"]:
                m = self.state[p].setdefault("m", torch.zeros_like(p))
                g = -p.grad if group["maximize"] else p.grad
                c = beta1 * m + (1 - beta1) * g
                p -= group["lr"] * (torch.sign(c) + group["weight_decay"] * p)
                m.copy_(beta2 * m + (1 - beta2) * g)


def run(name, options):
    parameters = [torch.tensor(p, dtype=torch.float64, requires_grad=True) for p in INITIAL]
    slopes = [torch.tensor(s, dtype=torch.float64) for s in SLOPES]
    optimizer = (Lion if name == "Lion" else getattr(torch.optim, name))(parameters, **options)
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
    torch.set_default_dtype(torch.float64)
    data = {"initial": INITIAL, "slopes": SLOPES, "cases": [run(*case) for case in CASES]}
    path = pathlib.Path(__file__).with_name("optim.json")
    cases = ",\n  ".join(map(json.dumps, data.pop("cases")))
    path.write_text(json.dumps(data)[:-1] + ', "cases": [\n  ' + cases + "\n]}\n")


if __name__ == "__main__":
    main()
