#!/usr/bin/env python3
"""Writes norm.json: what PyTorch's normalisations give for float64 inputs, their gradients under a random
cotangent, and the running moments afterwards. Inputs are [shape, values]; those left out are null."""
import json
import pathlib

import torch
import torch.nn.functional as F

torch.manual_seed(1)


def packed(t):
    return None if t is None else [list(t.shape), [round(v, 17) for v in t.detach().flatten().tolist()]]


def rounded(*shape):
    """Few digits, so that the file is short and exact."""
    return (torch.randn(*shape, dtype=torch.float64) * 8).round() / 8


def case(op, function, x, weight, bias, running=(None, None), **options):
    inputs = [t for t in (x, weight, bias) if t is not None]
    for t in inputs:
        t.requires_grad_()
    before = [packed(t) for t in running]
    y = function(x, weight, bias)
    dy = rounded(*y.shape)
    gradients = iter(torch.autograd.grad(y, inputs, dy))
    return {
        "op": op, "x": packed(x), "weight": packed(weight), "bias": packed(bias), "running": before, "y": packed(y),
        "dy": packed(dy), "gradients": [packed(next(gradients)) if t is not None else None for t in (x, weight, bias)],
        "running_after": [packed(t) for t in running], **options,
    }


def layer_norm_case(shape, dims, affine=True):
    size = shape[len(shape) - dims:]
    weight, bias = (rounded(*size), rounded(*size)) if affine else (None, None)
    return case("layer_norm", lambda x, w, b: F.layer_norm(x, size, w, b), rounded(*shape), weight, bias, dims=dims)


def batch_norm_case(shape, training, affine=True, tracked=True):
    c = shape[1]
    weight, bias = (rounded(c), rounded(c)) if affine else (None, None)
    running = (rounded(c), rounded(c).abs() + 0.5) if tracked else (None, None)
    return case("batch_norm", lambda x, w, b: F.batch_norm(x, *running, w, b, training), rounded(*shape) + 3, weight, bias,
                running, training=training)


def rms_norm_case(shape, dims, affine=True):
    size = shape[len(shape) - dims:]
    return case("rms_norm", lambda x, w, b: F.rms_norm(x, size, w, 1e-5), rounded(*shape),
                rounded(*size) if affine else None, None, dims=dims)


def group_norm_case(shape, groups, affine=True):
    weight, bias = (rounded(shape[1]), rounded(shape[1])) if affine else (None, None)
    return case("group_norm", lambda x, w, b: F.group_norm(x, groups, w, b), rounded(*shape) + 3, weight, bias,
                groups=groups)


def instance_norm_case(shape, training, affine=True, tracked=True):
    c = shape[1]
    weight, bias = (rounded(c), rounded(c)) if affine else (None, None)
    running = (rounded(c), rounded(c).abs() + 0.5) if tracked else (None, None)
    return case("instance_norm", lambda x, w, b: F.instance_norm(x, *running, w, b, training), rounded(*shape) + 3, weight,
                bias, running, training=training)


cases = [
    layer_norm_case([3, 5], 1), layer_norm_case([2, 3, 2, 4], 2), layer_norm_case([2, 3], 1, affine=False),
    batch_norm_case([4, 3], True), batch_norm_case([2, 3, 2, 5], True), batch_norm_case([2, 3, 2, 5], False),
    batch_norm_case([3, 2, 4], True, affine=False), batch_norm_case([2, 2, 3], True, tracked=False),
    batch_norm_case([1, 2], False),
    rms_norm_case([3, 5], 1), rms_norm_case([2, 2, 3], 2), rms_norm_case([2, 3], 1, affine=False),
    group_norm_case([2, 4, 3], 2), group_norm_case([2, 4, 2, 3], 1), group_norm_case([3, 4], 2, affine=False),
    instance_norm_case([2, 3, 4], True), instance_norm_case([2, 2, 2, 3], False), instance_norm_case([1, 2, 3, 2, 2], True),
    instance_norm_case([2, 2, 5], True, affine=False, tracked=False),
]
pathlib.Path(__file__).with_name("norm.json").write_text("[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]\n")
