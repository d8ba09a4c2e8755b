#!/usr/bin/env python3
"""Writes einsum.json: random equations with letters, diagonals, "...", dimensions of size 1 and implicit outputs, and what
PyTorch's einsum gives for operands that hold i * 7 % 5 - 2 at element i, so that the sums are exact."""
import json
import pathlib
import random

import torch

random.seed(1)


def counted(shape):
    count = 1
    for n in shape:
        count *= n
    return torch.tensor([i * 7 % 5 - 2 for i in range(count)], dtype=torch.float64).reshape(shape)


def random_case():
    letters = "abcAx"
    sizes = {c: random.randint(1, 3) for c in letters}
    ellipsis = [random.randint(1, 3) for _ in range(random.randint(0, 2))]
    operands, shapes = [], []
    for _ in range(random.randint(1, 3)):
        names = [random.choice(letters) for _ in range(random.randint(0, 3))]
        dims = {}
        for c in names:
            dims.setdefault(c, 1 if random.random() < 0.15 else sizes[c])
        parts = [(c, [dims[c]]) for c in names]
        if random.random() < 0.4:
            own = ellipsis[random.randint(0, len(ellipsis)):]
            own = [1 if random.random() < 0.2 else n for n in own]
            parts.insert(random.randint(0, len(parts)), ("...", own))
        operands.append("".join(p for p, _ in parts))
        shapes.append([n for _, d in parts for n in d])
    equation = ",".join(operands)
    if random.random() < 0.7:
        used = sorted({c for o in operands for c in o if c != "."})
        random.shuffle(used)
        output = used[:random.randint(0, len(used))]
        if any("..." in o for o in operands):
            output.insert(random.randint(0, len(output)), "...")
        equation += " -> " + " ".join(output)
    return equation, shapes


cases = []
while len(cases) < 60:
    equation, shapes = random_case()
    y = torch.einsum(equation, *[counted(s) for s in shapes])
    cases.append({"equation": equation, "shapes": shapes, "y_shape": list(y.shape), "y": [int(v) for v in y.flatten().tolist()]})
pathlib.Path(__file__).with_name("einsum.json").write_text("[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]\n")
