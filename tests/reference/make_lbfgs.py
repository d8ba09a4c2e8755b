#!/usr/bin/env python3
"""Writes lbfgs.json: where PyTorch's L-BFGS takes (x, y, z, w) in two Rosenbrock valleys, and in a bowl.

Rounding errors grow along the valleys, to 1e-12 in some 40 iterations: there it is not followed further. In the bowl it
is, for 100 steps.
"""
import json
import pathlib

import torch

INITIAL = [[-1.2, 1.0], [0.5, -0.7]]
VALLEYS = [
    (dict(lr=0.5, max_iter=3), 12),
    (dict(lr=0.3, max_iter=4, history_size=2), 8),
    (dict(line_search_fn="strong_wolfe", max_iter=3), 8),
    (dict(line_search_fn="strong_wolfe", max_iter=2, history_size=2, lr=0.1), 12),
    (dict(line_search_fn="strong_wolfe", max_iter=4, max_eval=5, lr=4.0), 10),
    (dict(line_search_fn="strong_wolfe", max_iter=3, maximize=True), 8),
]
BOWLS = [
    (dict(lr=0.05, max_iter=1), 100),
    (dict(lr=0.1, max_iter=1, history_size=3), 100),
    (dict(line_search_fn="strong_wolfe", max_iter=1, max_eval=10, lr=0.5), 100),
]


def bowl(a, b):
    return sum((1 + (i + 1) * (x - 0.5) ** 2) ** 0.5 for i, x in enumerate([*a, *b])) + 0.1 * a[0] * b[1]


def valleys(a, b):
    return sum((1 - p[0]) ** 2 + 10 * (p[1] - p[0] ** 2) ** 2 for p in (a, b)) + 0.1 * a[0] * b[1]


def run(loss_of, options, steps):
    parameters = [torch.tensor(p, requires_grad=True) for p in INITIAL]
    optimizer = torch.optim.LBFGS(parameters, **options)
    sign = -1 if options.get("maximize") else 1

    def closure():
        optimizer.zero_grad()
        loss = sign * loss_of(*parameters)
        loss.backward()
        return loss

    path = []
    for _ in range(steps):
        loss = optimizer.step(closure).item()
        path.append({"loss": loss, "at": [p.tolist() for p in parameters]})
    evaluations = optimizer.state[parameters[0]]["func_evals"]
    return {"loss": loss_of.__name__, "options": options, "evaluations": evaluations, "path": path}


def main():
    torch.set_default_dtype(torch.float64)
    paths = [run(valleys, *case) for case in VALLEYS] + [run(bowl, *case) for case in BOWLS]
    cases = ",\n  ".join(json.dumps(path) for path in paths)
    path = pathlib.Path(__file__).with_name("lbfgs.json")
    path.write_text('{"initial": ' + json.dumps(INITIAL) + ', "cases": [\n  ' + cases + "\n]}\n")


if __name__ == "__main__":
    main()
