#!/usr/bin/env python3
"""Writes transformer.json: what PyTorch's attention and transformer layers give for float64 inputs without dropout, and
the gradients of inputs and parameters under a random cotangent. Tensors are [shape, values]; masks are bool, true for
what may be seen."""
import json
import pathlib

import torch
from torch import nn

torch.manual_seed(1)
torch.set_default_dtype(torch.float64)
D, HEADS, INNER, B, T, S = 4, 2, 3, 2, 3, 4


def packed(t):
    values = t.detach().flatten().tolist()
    return [list(t.shape), [int(v) if t.dtype == torch.bool else round(v, 14) for v in values]]


def rounded(*shape):
    """Few digits, so that the file is short and exact."""
    return (torch.randn(*shape) * 8).round() / 8


def case(name, module, call, inputs, masks=None, **options):
    for p in module.parameters():
        p.data = rounded(*p.shape)
    parameters = dict(module.named_parameters())
    for t in inputs.values():
        t.requires_grad_()
    y = call(module, **inputs, **(masks or {}))
    dy = rounded(*y.shape)
    leaves = {**inputs, **parameters}
    gradients = torch.autograd.grad(y, list(leaves.values()), dy)
    return {
        "name": name, **options, "inputs": {k: packed(v) for k, v in inputs.items()},
        "masks": {k: packed(v) for k, v in (masks or {}).items()}, "parameters": {k: packed(v) for k, v in parameters.items()},
        "y": packed(y), "dy": packed(dy), "gradients": {k: packed(g) for k, g in zip(leaves, gradients)},
    }


def x():
    return rounded(B, T, D)


def memory():
    return rounded(B, S, D)


mask = torch.tensor([[1, 0, 1], [1, 1, 0], [0, 1, 1]], dtype=torch.bool)
cross_mask = torch.tensor([[1, 0, 1, 1], [1, 1, 0, 1], [0, 1, 1, 0]], dtype=torch.bool)
added = rounded(T, T)
key_mask = torch.tensor([[1, 1, 0], [0, 1, 1]], dtype=torch.bool)
left_mask = torch.tensor([[1, 1, 1], [1, 1, 0]], dtype=torch.bool)
memory_key_mask = torch.tensor([[1, 1, 1, 0], [1, 1, 1, 1]], dtype=torch.bool)
causal = torch.ones(T, T, dtype=torch.bool).tril()


def hidden(m):
    return None if m is None else m if m.is_floating_point() else ~m


def attend(m, x, memory=None, mask=None, key_mask=None):
    kv = x if memory is None else memory
    return m(x, kv, kv, attn_mask=hidden(mask), key_padding_mask=hidden(key_mask), need_weights=False)[0]


def encode(m, x, key_mask=None):
    return m(x, src_key_padding_mask=hidden(key_mask))


def decode(m, x, memory, key_mask=None, memory_key_mask=None):
    return m(x, memory, tgt_mask=~causal, tgt_key_padding_mask=hidden(key_mask),
             memory_key_padding_mask=hidden(memory_key_mask))


def translate(m, source, target, source_key_mask):
    return m(source, target, tgt_mask=~causal, src_key_padding_mask=~source_key_mask,
             memory_key_padding_mask=~source_key_mask)


def attention(**options):
    return nn.MultiheadAttention(D, HEADS, batch_first=True, **options)


def layer(kind, norm_first, activation="relu", bias=True):
    return kind(D, HEADS, INNER, 0.0, activation, norm_first=norm_first, bias=bias, batch_first=True)


E, C = nn.TransformerEncoderLayer, nn.TransformerDecoderLayer
cases = [
    case("attention", attention(), attend, {"x": x()}),
    case("attention", attention(bias=False), attend, {"x": x()}, bias=False),
    case("attention", attention(), attend, {"x": x()}, {"mask": mask}),
    case("attention", attention(), attend, {"x": x()}, {"mask": added}),
    case("attention", attention(), attend, {"x": x()}, {"mask": causal}, causal=True),
    case("attention", attention(), attend, {"x": x()}, {"mask": causal, "key_mask": left_mask}, causal=True),
    case("attention", attention(), attend, {"x": x(), "memory": memory()}, {"mask": cross_mask, "key_mask": memory_key_mask}),
    case("encoder_layer", layer(E, False), encode, {"x": x()}, activation="relu", norm_first=False),
    case("encoder_layer", layer(E, True, "gelu", False), encode, {"x": x()}, {"key_mask": key_mask}, activation="gelu",
         norm_first=True, bias=False),
    case("decoder_layer", layer(C, False, "gelu"), decode, {"x": x(), "memory": memory()}, activation="gelu",
         norm_first=False),
    case("decoder_layer", layer(C, True), decode, {"x": x(), "memory": memory()},
         {"key_mask": left_mask, "memory_key_mask": memory_key_mask}, activation="relu", norm_first=True),
    case("transformer", nn.Transformer(D, HEADS, 2, 1, INNER, 0.0, batch_first=True), translate,
         {"source": memory(), "target": x()}, {"source_key_mask": memory_key_mask}),
]
pathlib.Path(__file__).with_name("transformer.json").write_text("[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]\n")
