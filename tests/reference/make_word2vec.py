#!/usr/bin/env python3
"""Writes word2vec.json: the losses of word2vec, example by example from their formulas, for PyTorch in float64, and their
gradients. The Huffman tree is built by heapq; the rarer child is the turn 1. Tensors are [shape, values]."""
import heapq
import json
import math
import pathlib

import torch

torch.manual_seed(2)
torch.set_default_dtype(torch.float64)
D, K, POWER = 4, 3, 0.75
counts = [50, 20, 11, 7, 4, 2]
V = len(counts)


def packed(t):
    return [list(t.shape), [round(v, 12) for v in t.detach().flatten().tolist()]]


def rounded(*shape):
    """Few digits, so that the file is short and exact."""
    return (torch.randn(*shape) * 8).round() / 8


def ways():
    """Of each token: [(inner node, turn)] from the root."""
    heap = [(c, i, None) for i, c in enumerate(counts)]
    heapq.heapify(heap)
    for node in range(V, 2 * V - 1):
        a, b = heapq.heappop(heap), heapq.heappop(heap)
        heapq.heappush(heap, (a[0] + b[0], node, (a, b)))
    result = {}

    def walk(tree, way):
        _, node, children = tree
        if children is None:
            result[node] = way
        else:
            for child, turn in zip(children, (1, -1)):
                walk(child, way + [(node - V, turn)])

    walk(heap[0], [])
    return result


noise = [c ** POWER for c in counts]
noise = [n / sum(noise) for n in noise]
context = torch.tensor([[0, -1, -1], [3, 1, -1], [2, 2, 5]])
target, negatives = torch.tensor([1, 0, 4]), torch.tensor([[0, 0, 5], [2, 0, 1], [3, 1, 0]])
cases = []
for loss_name in ("negative_sampling", "nce", "hierarchical_softmax"):
    tree = loss_name == "hierarchical_softmax"
    table, out = rounded(V, D).requires_grad_(), rounded(V - 1 if tree else V, D).requires_grad_()
    total = 0
    for row in range(3):
        words = [w for w in context[row].tolist() if w >= 0]
        h = sum(table[w] for w in words) / len(words)
        o = target[row].item()
        if tree:
            for node, turn in ways()[o]:
                total = total - torch.log(torch.sigmoid(turn * (out[node] @ h)))
            continue
        shift = lambda w: math.log(V * K * noise[w]) if loss_name == "nce" else 0
        total = total - torch.log(torch.sigmoid(out[o] @ h - shift(o)))
        for w in negatives[row].tolist():
            total = total - torch.log(torch.sigmoid(-(out[w] @ h - shift(w))))
    loss = total / 3
    loss.backward()
    cases.append({"loss": loss_name, "in": packed(table), "out": packed(out), "value": loss.item(),
                  "din": packed(table.grad), "dout": packed(out.grad)})
pathlib.Path(__file__).with_name("word2vec.json").write_text(json.dumps({
    "counts": [float(c) for c in counts], "width": D, "negatives_each": K, "context": packed(context), "target": packed(target),
    "negatives": packed(negatives), "cases": cases}) + "\n")
