#!/usr/bin/env python3
"""Writes conv.json, pool.json, resize.json and fold.json: what PyTorch's functions give for float64 inputs, and the
gradients under a random cotangent; and conv_layers.json: layers with their state_dict. Tensors are [shape, values]. resize.json also holds which inputs the nearest modes
take in float32. (In float64 PyTorch's forward pass computes the places in float64 and its backward pass in float32, so
they can differ where a place is nearly an integer: 28 samples by 2.3 with nearest-exact.)"""
import json
import math
import pathlib

import torch
import torch.nn.functional as F

torch.manual_seed(1)
HERE = pathlib.Path(__file__).parent


def packed(t):
    return [list(t.shape), [v if isinstance(v, int) else round(v, 16) for v in t.detach().flatten().tolist()]]


def rounded(*shape):
    """Few digits, so that the file is short and exact."""
    return (torch.randn(*shape, dtype=torch.float64) * 8).round() / 8


def separate(*shape):
    """No two alike, for the maximum."""
    n = torch.Size(shape).numel()
    return ((torch.randperm(n) - n // 2).double() / 8).reshape(shape)


def case(op, function, inputs, options, indices=None):
    for t in inputs:
        t.requires_grad_()
    y = function(*inputs)
    found = None
    if isinstance(y, tuple):
        y, found = y
    dy = rounded(*y.shape)
    gradients = torch.autograd.grad(y, inputs, dy)
    result = {"op": op, "options": options, "inputs": [packed(t) for t in inputs], "y": packed(y), "dy": packed(dy),
              "gradients": [packed(g) for g in gradients]}
    if found is not None:
        result["indices"] = packed(found)
    if indices is not None:
        result["at"] = packed(indices)
    return result


def write(name, cases):
    text = "[\n" + ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases) + "\n]\n"
    (HERE / name).write_text(text)
    print(name, len(text))


def conv(dims, x, w, bias=True, transposed=False, **o):
    name = ("conv_transpose" if transposed else "conv") + f"{dims}d"
    out = w[1] * o.get("groups", 1) if transposed else w[0]
    inputs = [rounded(*x), rounded(*w)] + ([rounded(out)] if bias else [])
    return case(name, lambda x, w, b=None: getattr(F, name)(x, w, b, **o), inputs, o)


write("conv.json", [
    conv(1, [2, 2, 7], [3, 2, 3]), conv(1, [1, 4, 9], [6, 2, 3], False, stride=2, padding=2, dilation=2, groups=2),
    conv(1, [1, 2, 6], [2, 2, 4], padding="same"), conv(1, [1, 1, 6], [1, 1, 2], padding="same", dilation=3),
    conv(2, [2, 3, 5, 6], [4, 3, 3, 2], stride=[2, 1], padding=[1, 0]),
    conv(2, [1, 2, 5, 4], [2, 2, 2, 3], padding="same"), conv(2, [1, 2, 6, 5], [4, 1, 4, 2], padding="same", groups=2),
    conv(2, [1, 2, 4, 4], [6, 1, 3, 3], padding=1, groups=2), conv(2, [2, 3, 3], [2, 2, 2, 2], False),
    conv(3, [1, 2, 3, 4, 4], [2, 2, 2, 3, 2], stride=[1, 2, 1], padding=[1, 1, 0]),
    conv(3, [1, 1, 3, 4, 3], [2, 1, 2, 2, 2], padding="same"),
    conv(1, [2, 3, 4], [3, 2, 3], transposed=True, stride=2, padding=1, output_padding=1),
    conv(1, [1, 4, 5], [4, 2, 2], False, transposed=True, stride=3, groups=2, dilation=2),
    conv(2, [1, 2, 3, 4], [2, 3, 4, 4], transposed=True, stride=2, padding=1),
    conv(2, [1, 4, 2, 3], [4, 1, 3, 2], transposed=True, stride=[3, 2], padding=[1, 0], output_padding=[2, 1], groups=2),
    conv(3, [1, 2, 2, 2, 3], [2, 1, 2, 3, 2], transposed=True, stride=[1, 2, 2], padding=[0, 1, 0]),
])


def layer(module, *x):
    x = rounded(*x)
    for p in module.double().parameters():
        p.data = rounded(*p.shape)
    return {"names": list(module.state_dict()), "state": {k: packed(v) for k, v in module.state_dict().items()}, "x": packed(x),
            "y": packed(module(x))}


write("conv_layers.json", [
    layer(torch.nn.Conv2d(4, 2, (2, 3), padding="same", groups=2), 1, 4, 3, 4),
    layer(torch.nn.ConvTranspose1d(2, 3, 4, stride=2, padding=1), 1, 2, 3),
    layer(torch.nn.ConvTranspose2d(4, 2, (2, 3), stride=(2, 1), groups=2), 1, 4, 2, 3),
    layer(torch.nn.ConvTranspose3d(1, 2, 2, stride=2, output_padding=1, bias=False), 1, 1, 1, 2, 2),
])


def pool(op, x, *args, **o):
    o = dict(zip(("output_size",) if "adaptive" in op else ("kernel_size",), args), **o)
    given = dict(o, return_indices=True) if "max" in op else o
    make = separate if "max" in op else rounded
    return case(op, lambda x: getattr(F, op)(x, **given), [make(*x)], o)


def unpool(dims, x, kernel, **o):
    y, at = getattr(F, f"max_pool{dims}d")(separate(*x), kernel, return_indices=True,
                                           **{k: v for k, v in o.items() if k != "output_size"})
    return case(f"max_unpool{dims}d", lambda y: getattr(F, f"max_unpool{dims}d")(y, at, kernel, **o), [y],
                dict(o, kernel_size=kernel), at)


write("pool.json", [
    pool("max_pool1d", [1, 2, 9], 3, stride=2, padding=1), pool("max_pool1d", [2, 8], 3, stride=2, ceil_mode=True),
    pool("max_pool2d", [1, 2, 6, 5], [2, 3], stride=[2, 1], padding=[1, 0]),
    pool("max_pool2d", [1, 1, 7, 7], 2, stride=1, dilation=[2, 3]), pool("max_pool2d", [1, 2, 5, 6], 2, ceil_mode=True),
    pool("max_pool3d", [1, 1, 4, 4, 5], [2, 2, 3], stride=[2, 1, 2], padding=[0, 1, 1], ceil_mode=True),
    pool("avg_pool1d", [1, 2, 8], 3, stride=2, padding=1), pool("avg_pool1d", [1, 8], 4, stride=3, ceil_mode=True),
    pool("avg_pool1d", [1, 1, 7], 3, stride=2, padding=1, ceil_mode=True, count_include_pad=False),
    pool("avg_pool2d", [1, 2, 5, 6], [3, 2], stride=[1, 2], padding=1, ceil_mode=True),
    pool("avg_pool2d", [1, 1, 5, 5], 3, stride=2, padding=1, count_include_pad=False),
    pool("avg_pool2d", [1, 1, 4, 4], 2, divisor_override=3),
    pool("avg_pool3d", [1, 2, 3, 4, 4], 2, stride=[1, 2, 2], padding=[0, 1, 0], ceil_mode=True),
    pool("adaptive_avg_pool1d", [1, 2, 7], 3), pool("adaptive_avg_pool2d", [1, 2, 5, 4], [3, 6]),
    pool("adaptive_avg_pool3d", [1, 1, 3, 4, 5], [2, 3, 2]),
    pool("adaptive_max_pool1d", [1, 2, 7], 3), pool("adaptive_max_pool2d", [1, 2, 5, 4], [3, 6]),
    pool("adaptive_max_pool3d", [1, 1, 3, 4, 5], [2, 3, 2]), pool("adaptive_max_pool2d", [2, 4, 5], [1, 2]),
    unpool(1, [1, 2, 6], 2), unpool(1, [1, 7], 2, output_size=[7]), unpool(2, [1, 2, 4, 6], [2, 3]),
    unpool(2, [1, 1, 5, 6], 2, padding=1, stride=2, output_size=[5, 6]), unpool(3, [1, 1, 4, 2, 6], [2, 1, 3]),
])


def resize(x, mode, **o):
    return case("interpolate", lambda x: F.interpolate(x, mode=mode, **o), [rounded(*x)], dict(o, mode=mode))


line, image, volume = [1, 2, 5], [1, 1, 5, 4], [1, 1, 3, 2, 4]
cases = [resize(x, mode, **o) for x in (line, image, volume) for mode in ("nearest", "nearest-exact", "area")
         for o in (dict(size=[7] if x is line else [3, 7] if x is image else [2, 5, 7]), dict(scale_factor=1.6))]
for x, mode in ((line, "linear"), (image, "bilinear"), (volume, "trilinear"), (image, "bicubic")):
    size = [7] if x is line else [3, 7] if x is image else [2, 5, 7]
    for corners in (False, True):
        cases.append(resize(x, mode, size=size, align_corners=corners))
        cases.append(resize(x, mode, scale_factor=1.6, align_corners=corners))
        cases.append(resize(x, mode, scale_factor=1.6, recompute_scale_factor=True, align_corners=corners))
for mode in ("bilinear", "bicubic"):
    for corners in (False, True):
        cases.append(resize([1, 1, 9, 8], mode, size=[4, 3], align_corners=corners, antialias=True))
        cases.append(resize([1, 1, 5, 4], mode, size=[9, 3], align_corners=corners, antialias=True))
    cases.append(resize([1, 1, 9, 8], mode, scale_factor=0.45, antialias=True))
# a fine grid over two or three samples, and grids of one
cases += [resize([1, 1, n], "linear", size=[m], align_corners=c) for n, m in ((2, 9), (3, 20), (4, 1), (1, 4))
          for c in (False, True)]
cases += [resize([1, 1, 1, 3], "bicubic", size=[4, 1], align_corners=c) for c in (False, True)]
for op, x, r in (("pixel_shuffle", [1, 8, 2, 3], 2), ("pixel_shuffle", [9, 2, 1], 3), ("pixel_unshuffle", [2, 1, 4, 6], 2)):
    cases.append(case(op, lambda x: getattr(F, op)(x, r), [rounded(*x)], dict(factor=r)))
taken = []
for mode in ("nearest", "nearest-exact"):
    for n in (1, 2, 3, 5, 7, 10, 28):
        for size in [{"size": m} for m in (1, 2, 3, 5, 7, 11, 14, 20, 56)] + [{"scale_factor": s} for s in (0.6, 1.1, 1.7, 2.3, 3.0)]:
            if math.floor(n * size.get("scale_factor", 1)) > 0:
                # as a row: over images PyTorch ignores a factor that keeps or doubles the size, as its backward pass does
                y = F.interpolate(torch.arange(n, dtype=torch.float32).view(1, 1, n), mode=mode, **size)
                taken.append(dict(mode=mode, n=n, taken=y.flatten().int().tolist(), **size))
write("resize.json", cases + [{"op": "taken", "cases": taken}])


def fold(op, x, *args, **o):
    names = ("kernel_size",) if op == "unfold" else ("output_size", "kernel_size")
    o = dict(zip(names, args), **o)
    return case(op, lambda x: getattr(F, op)(x, **o), [rounded(*x)], o)


write("fold.json", [
    fold("unfold", [2, 2, 4, 5], [2, 3]), fold("unfold", [1, 2, 5, 6], [3, 2], dilation=[1, 2], padding=[2, 1], stride=[2, 3]),
    fold("unfold", [2, 3, 3], 2, padding=1), fold("fold", [2, 12, 6], [3, 5], [2, 3]), fold("fold", [8, 9], [2, 2], 2, padding=1),
    fold("fold", [1, 12, 12], [6, 7], [3, 2], dilation=[1, 2], padding=[2, 1], stride=[2, 3]),
])
