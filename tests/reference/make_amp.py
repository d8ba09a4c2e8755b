#!/usr/bin/env python3
"""Writes amp.json: bits of float16 and bfloat16, PyTorch's dtypes under autocast, and the scales of its GradScaler."""
import json
import math
import pathlib
import struct

import torch
import torch.nn.functional as F
from torch._subclasses.fake_tensor import FakeTensorMode

FLOATS = [  # where rounding turns: name, float32
    ("zero", 0.0), ("minus zero", -0.0), ("one", 1.0), ("a third", 1 / 3), ("pi", math.pi), ("-2.5", -2.5),
    ("tie to the even number below", 1 + 2**-11), ("above that tie", 1 + 2**-11 + 2**-23),
    ("tie to the even number above", 1 + 3 * 2**-11), ("2049, a tie", 2049.0), ("2051, a tie", 2051.0),
    ("tie of bfloat16 below", 1 + 2**-8), ("tie of bfloat16 above", 1 + 3 * 2**-8), ("257, a tie", 257.0),
    ("largest half", 65504.0), ("rounds to it", 65519.996), ("rounds to infinity", 65520.0), ("1e5", 1e5),
    ("least normal half", 2.0**-14), ("largest subnormal half", 2.0**-14 - 2.0**-24),
    ("rounds to the least normal half", 2.0**-14 - 2.0**-25), ("least subnormal half", 2.0**-24),
    ("tie with zero", 2.0**-25), ("above that tie", 2.0**-25 * (1 + 2**-23)), ("tie of subnormals", 1.5 * 2.0**-24),
    ("tie of subnormals", 2.5 * 2.0**-24), ("1e-8", 1e-8), ("1e-8 * 65536", 1e-8 * 65536), ("-1e-7", -1e-7),
    ("largest bfloat16", (2 - 2**-7) * 2.0**127), ("largest float32", (2 - 2**-23) * 2.0**127),
    ("tie with infinity", (2 - 2**-8) * 2.0**127), ("least normal float32", 2.0**-126),
    ("least subnormal bfloat16", 2.0**-133), ("tie with zero in bfloat16", 2.0**-134), ("least float32", 2.0**-149),
    ("infinity", math.inf), ("minus infinity", -math.inf), ("NaN", math.nan),
]  # fmt: skip


def bits_of(name, value):
    single = struct.unpack("<I", struct.pack("<f", value))[0]
    value = torch.tensor(value, dtype=torch.float32)
    half = value.to(torch.float16).view(torch.int16).item() & 0xFFFF
    brain = value.to(torch.bfloat16).view(torch.int16).item() & 0xFFFF
    try:  # Python's own half is another implementation
        assert math.isnan(value) or struct.unpack("<H", struct.pack("<e", value.item()))[0] == half, name
    except OverflowError:
        assert half & 0x7FFF == 0x7C00, name
    return {"name": name, "float32": single, "float16": half, "bfloat16": brain}


OPS = {  # name here: a call of PyTorch's
    "matmul": lambda r: r(2, 3) @ r(3, 2),
    "linear": lambda r: F.linear(r(2, 3), r(4, 3), r(4)),
    "addmm": lambda r: torch.addmm(r(2, 2), r(2, 3), r(3, 2)),
    "einsum": lambda r: torch.einsum("ij,jk->ik", r(2, 3), r(3, 2)),
    "conv1d": lambda r: F.conv1d(r(1, 2, 5), r(3, 2, 3)),
    "conv2d": lambda r: F.conv2d(r(1, 2, 5, 5), r(3, 2, 3, 3)),
    "conv3d": lambda r: F.conv3d(r(1, 2, 5, 5, 5), r(3, 2, 3, 3, 3)),
    "conv_transpose1d": lambda r: F.conv_transpose1d(r(1, 2, 5), r(2, 3, 3)),
    "conv_transpose2d": lambda r: F.conv_transpose2d(r(1, 2, 5, 5), r(2, 3, 3, 3)),
    "conv_transpose3d": lambda r: F.conv_transpose3d(r(1, 2, 5, 5, 5), r(2, 3, 3, 3, 3)),
    "prelu": lambda r: F.prelu(r(2, 3), r(3)),
    "scaled_dot_product_attention": lambda r: F.scaled_dot_product_attention(*[r(1, 2, 3, 4)] * 3),
    "exp": lambda r: r(3).exp(),
    "expm1": lambda r: r(3).expm1(),
    "log": lambda r: r(3).log(),
    "log1p": lambda r: r(3).log1p(),
    "pow": lambda r: r(3) ** 3,
    "rsqrt": lambda r: r(3).rsqrt(),
    "reciprocal": lambda r: r(3).reciprocal(),
    "softplus": lambda r: F.softplus(r(3)),
    "sum": lambda r: r(3).sum(),
    "mean": lambda r: r(3).mean(),
    "prod": lambda r: r(3).prod(),
    "var": lambda r: r(3).var(),
    "std": lambda r: r(3).std(),
    "norm": lambda r: r(3).norm(),
    "logsumexp": lambda r: r(3).logsumexp(0),
    "cumsum": lambda r: r(3).cumsum(0),
    "cumprod": lambda r: r(3).cumprod(0),
    "logcumsumexp": lambda r: r(3).logcumsumexp(0),
    "softmax": lambda r: F.softmax(r(2, 3), 1),
    "softmin": lambda r: F.softmin(r(2, 3), 1),
    "log_softmax": lambda r: F.log_softmax(r(2, 3), 1),
    "layer_norm": lambda r: F.layer_norm(r(2, 3), (3,)),
    "rms_norm": lambda r: F.rms_norm(r(2, 3), (3,)),
    "group_norm": lambda r: F.group_norm(r(2, 4), 2),
    "instance_norm": lambda r: F.instance_norm(r(2, 3, 4)),
    "batch_norm": lambda r: F.batch_norm(r(2, 3), None, None, training=True),
    "mse_loss": lambda r: F.mse_loss(r(3), r(3)),
    "cross_entropy": lambda r: F.cross_entropy(r(2, 3), torch.empty(2, dtype=torch.int64, device="cuda")),
    "nll_loss": lambda r: F.nll_loss(r(2, 3), torch.empty(2, dtype=torch.int64, device="cuda")),
    "binary_cross_entropy_with_logits": lambda r: F.binary_cross_entropy_with_logits(r(3), r(3)),
    "add": lambda r: r(3) + r(3),
    "mul": lambda r: r(3) * r(3),
    "cat": lambda r: torch.cat([r(3), r(3)]),
    "stack": lambda r: torch.stack([r(3), r(3)]),
    "relu": lambda r: r(3).relu(),
    "tanh": lambda r: r(3).tanh(),
    "sigmoid": lambda r: r(3).sigmoid(),
    "sqrt": lambda r: r(3).sqrt(),
    "gelu": lambda r: F.gelu(r(3)),
    "silu": lambda r: F.silu(r(3)),
}


def dtypes():
    """What each op gives for float32 and for float16 operands: CUDA's lists, by tensors without memory."""
    torch.set_autocast_enabled("cuda", True)
    torch.set_autocast_dtype("cuda", torch.float16)
    found = {}
    with FakeTensorMode():
        for name, call in OPS.items():
            found[name] = [
                str(call(lambda *s, t=t: torch.empty(*s, device="cuda", dtype=t)).dtype).removeprefix("torch.")
                for t in (torch.float32, torch.float16)
            ]
    torch.set_autocast_enabled("cuda", False)
    return found


def scales(bad, **options):
    """A parameter on a parabola, with gradients that are infinite or NaN at the steps in `bad`."""
    p = torch.tensor([1.0, -2.0], requires_grad=True)
    optimizer = torch.optim.Adam([p], lr=0.1)
    scaler = torch.amp.GradScaler("cpu", **options)
    series = {"scale": [], "p": [], "tracker": []}
    for t in range(40):
        optimizer.zero_grad()
        scaler.scale((p**2).sum()).backward()
        if t in bad:
            p.grad[t % 2] = math.inf if t % 3 else math.nan
        scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_([p], 1.0)
        scaler.step(optimizer)
        scaler.update()
        series["scale"].append(scaler.get_scale())
        series["tracker"].append(scaler.state_dict()["_growth_tracker"])
        series["p"].append(p.tolist())
    steps = optimizer.state_dict()["state"][0]["step"].item()
    return {"options": options, "bad": bad, "adam_steps": steps, **series}


def main():
    torch.set_num_threads(1)
    data = {
        "bits": [bits_of(*f) for f in FLOATS],
        "dtypes": dtypes(),
        "scaler": [
            scales([0, 1, 2, 9, 20], growth_interval=4),
            scales([3, 30], init_scale=2.0**126, growth_interval=2),
            scales([5, 6, 7], init_scale=1024.0, growth_factor=3.0, backoff_factor=0.25, growth_interval=3),
        ],
    }
    pathlib.Path(__file__).with_name("amp.json").write_text(json.dumps(data, indent=1) + "\n")


if __name__ == "__main__":
    main()
