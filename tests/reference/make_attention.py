#!/usr/bin/env python3
"""Writes attention.json: attention layers that PyTorch does not have, written anew in PyTorch from their formulas, for
float64 inputs, and the gradients of inputs and parameters under a random cotangent. Tensors are [shape, values]; masks
are bool, true for what may be seen."""
import json
import math
import pathlib

import torch
import torch.nn.functional as F

torch.manual_seed(2)
torch.set_default_dtype(torch.float64)
D, H, B, T = 4, 2, 2, 5
DH = D // H


def packed(t):
    values = t.detach().flatten().tolist()
    return [list(t.shape), [int(v) if t.dtype == torch.bool else round(v, 14) for v in values]]


def rounded(*shape):
    """Few digits, so that the file is short and exact."""
    return (torch.randn(*shape) * 8).round() / 8


cases = []


def case(name, call, parameters, x=None, key_mask=None, **options):
    x = (rounded(B, T, D) if x is None else x).requires_grad_()
    p = {k: rounded(*shape).requires_grad_() for k, shape in parameters.items()}
    y = call(x, p, key_mask, **options)
    dy = rounded(*y.shape)
    leaves = {"x": x, **p}
    gradients = torch.autograd.grad(y, list(leaves.values()), dy)
    cases.append({
  "name" : name, **options, "inputs" : {"x" : packed(x)}, "masks" : {}
  if key_mask
    is None else {"key_mask" : packed(key_mask)}, "parameters" : {
    k: packed(v) for k, v in p.items()
    }
  , "y" : packed(y), "dy" : packed(dy), "gradients" : {
  k: packed(g) for k, g in zip(leaves, gradients)
  }
  ,
    })


def heads(x):
    return x.view(x.shape[0], x.shape[1], H, -1).transpose(1, 2)


def joined(y):
    return y.transpose(1, 2).flatten(2)


def causal_mask(queries, keys):
    return torch.ones(queries, keys, dtype=torch.bool).tril(keys - queries)


def in_projections(x, p):
    return [heads(t) for t in (x @ p["in_proj_weight"].T + p["in_proj_bias"]).split(D, 2)]


PROJECTIONS = {"in_proj_weight": (3 * D, D), "in_proj_bias": (3 * D,), "out_proj.weight": (D, D), "out_proj.bias": (D,)}
PADDED = torch.tensor([[1, 1, 0, 1, 1], [0, 1, 1, 1, 0]], dtype=torch.bool)


def out(y, p):
    return F.linear(joined(y), p["out_proj.weight"], p["out_proj.bias"])


# ---- Linformer ----


def linformer(x, p, key_mask, sharing):
    q, k, v = in_projections(x, p)
    E = p["key_projection"][:, :, :T]
    V = p.get("value_projection", p["key_projection"])[:, :, :T]
    kept = torch.ones(B, T) if key_mask is None else key_mask.double()
    k, v = k * kept[:, None, :, None], v * kept[:, None, :, None]
    k, v = torch.einsum("hrt,bhtd->bhrd", E.expand(H, -1, -1), k), torch.einsum("hrt,bhtd->bhrd", V.expand(H, -1, -1), v)
    return out(torch.softmax(q @ k.transpose(2, 3) / math.sqrt(DH), -1) @ v, p)


for sharing, of_heads, mask in (("none", H, None), ("heads", 1, None), ("key_value", 1, PADDED)):
    own = {"key_projection": (of_heads, 3, 6)}
    if sharing != "key_value":
        own["value_projection"] = (of_heads, 3, 6)
    case("linformer", linformer, {**PROJECTIONS, **own}, key_mask=mask, sharing=sharing)


# ---- Nystrom ----


def pseudo_inverse(A, iterations):
    eye = torch.eye(A.shape[-1])
    Z = A.transpose(-1, -2) / (A.abs().sum(-2).amax(-1) * A.abs().sum(-1).amax(-1))[..., None, None]
    for _ in range(iterations):
        AZ = A @ Z
        Z = 0.25 * Z @ (13 * eye - AZ @ (15 * eye - AZ @ (7 * eye - AZ)))
    return Z


def nystrom(x, p, key_mask, landmarks, iterations):
    q, k, v = (t / DH**0.25 if i < 2 else t for i, t in enumerate(in_projections(x, p)))
    ql, kl = (torch.stack([s.mean(2) for s in t.split(T // landmarks + 1, 2)], 2) for t in (q, k))
    soft = lambda a, b: torch.softmax(a @ b.transpose(2, 3), -1)
    return out(soft(q, kl) @ (pseudo_inverse(soft(ql, kl), iterations) @ (soft(ql, k) @ v)), p)


case("nystrom", nystrom, PROJECTIONS, landmarks=2, iterations=6)  # segments of 3 and 2
case("nystrom", nystrom, PROJECTIONS, landmarks=2, iterations=1)


# ---- Longformer: a query at a time ----


def longformer(x, p, key_mask, window, dilation, tokens, causal):
    q, k, v = in_projections(x, p)
    if tokens:
        gq, gk, gv = (heads(t) for t in F.linear(x, p["global_proj_weight"], p["global_proj_bias"]).split(D, 2))
    rows = []
    for i in range(T):
        whole = i in tokens
        a, b, c = (gq, gk, gv) if whole else (q, k, v)
        side = window - 1 if causal else window // 2
        near = [j for j in range(T) if abs(i - j) <= side * dilation and (i - j) % dilation == 0]
        keys = [j for j in range(T) if (whole or j in near or j in tokens) and not (causal and j > i)]
        s = a[:, :, i : i + 1] @ b[:, :, keys].transpose(2, 3) / math.sqrt(DH)
        if key_mask is not None:
            s = s.masked_fill(~key_mask[:, None, None, keys], -math.inf)
        rows.append(torch.softmax(s, -1) @ c[:, :, keys])
    return out(torch.cat(rows, 2), p)


GLOBAL = {"global_proj_weight": (3 * D, D), "global_proj_bias": (3 * D,)}
case("longformer", longformer, PROJECTIONS, window=2, dilation=2, tokens=[], causal=False)
case("longformer", longformer, {**PROJECTIONS, **GLOBAL}, window=2, dilation=1, tokens=[0, 3], causal=False, key_mask=PADDED)
case("longformer", longformer, {**PROJECTIONS, **GLOBAL}, window=2, dilation=1, tokens=[1, 3], causal=True)

# ---- Synthesizer ----


def synthesizer(x, p, key_mask, scores, causal):
    v = heads(F.linear(x, p["value_proj.weight"], p["value_proj.bias"]))

    def mapped(hidden, weight, bias):
        h = heads(torch.relu(F.linear(x, p[hidden + ".weight"], p[hidden + ".bias"])))
        return h @ p[weight].transpose(1, 2) + p[bias][:, None]

    parts = []
    for kind in scores:
        if kind == "dot_product":
            q, k = (heads(t) for t in F.linear(x, p["query_key_proj.weight"], p["query_key_proj.bias"]).split(D, 2))
            parts.append(q @ k.transpose(2, 3) / math.sqrt(DH))
        elif kind == "dense":
            parts.append(mapped("dense_hidden", "dense_weight", "dense_bias")[..., :T])
        elif kind == "random":
            parts.append(p["random"][:, :T, :T].expand(B, -1, -1, -1))
        elif kind == "factorized_dense":
            a, b = mapped("factor_hidden", "factor_weight", "factor_bias").split([2, 3], -1)
            parts.append((a.repeat(1, 1, 1, 3) * b.repeat_interleave(2, -1))[..., :T])
        else:
            parts.append((p["random_left"] @ p["random_right"].transpose(1, 2))[:, :T, :T].expand(B, -1, -1, -1))
    w = torch.softmax(p["mixture"], 0) if len(scores) > 1 else torch.ones(1)
    s = sum(w[i] * part for i, part in enumerate(parts))
    seen = torch.ones(1, 1, T, T, dtype=torch.bool) if not causal else causal_mask(T, T)[None, None]
    if key_mask is not None:
        seen = seen & key_mask[:, None, None]
    return out(torch.softmax(s.masked_fill(~seen, -math.inf), -1) @ v, p)


N = 6
OF_KIND = {
    "dot_product": {"query_key_proj.weight": (2 * D, D), "query_key_proj.bias": (2 * D,)},
    "dense": {"dense_hidden.weight": (D, D), "dense_hidden.bias": (D,), "dense_weight": (H, N, DH), "dense_bias": (H, N)},
    "factorized_dense": {"factor_hidden.weight": (D, D), "factor_hidden.bias": (D,), "factor_weight": (H, 5, DH),
                         "factor_bias": (H, 5)},
    "random": {"random": (H, N, N)},
    "factorized_random": {"random_left": (H, N, 3), "random_right": (H, N, 3)},
}
LEFT = torch.tensor([[1, 1, 0, 1, 1], [1, 1, 1, 1, 0]], dtype=torch.bool)
for scores, causal, mask in ((["dense"], False, None), (["random"], True, None), (["factorized_dense"], False, PADDED),
                             (["factorized_random"], True, LEFT), (["dot_product", "dense", "factorized_random"], True, None),
                             (list(OF_KIND), False, PADDED)):
    own = {
  "value_proj.weight" : (D, D), "value_proj.bias" : (D, )}
    for kind in OF_KIND:
        if kind in scores:
            own.update(OF_KIND[kind])
    if len(scores) > 1:
        own["mixture"] = (len(scores),)
    own.update({"out_proj.weight": (D, D), "out_proj.bias": (D,)})
    case("synthesizer", synthesizer, own, key_mask=mask, scores=scores, causal=causal)


# ---- multi-head latent attention, and attention sinks ----


def rope(x, position):
    """Pairs of neighbours, at one position for all rows or one a row."""
    half = torch.arange(x.shape[-1] // 2)
    angle = torch.as_tensor(position).reshape(-1, 1) * 10000.0 ** (-2 * half / x.shape[-1])
    a, b = x[..., 0::2], x[..., 1::2]
    return torch.stack([a * angle.cos() - b * angle.sin(), a * angle.sin() + b * angle.cos()], -1).flatten(-2)


def rms(x, weight):
    return x / (x.square().mean(-1, keepdim=True) + 1e-6).sqrt() * weight


def latent(x, p, key_mask, q_rank, causal):
    r, dr = 3, 2
    q = rms(x @ p["q_a_proj.weight"].T, p["q_a_layernorm.weight"]) @ p["q_b_proj.weight"].T if q_rank else x @ p["q_proj.weight"].T
    q = heads(q)
    c, kr = (x @ p["kv_a_proj_with_mqa.weight"].T).split([r, dr], -1)
    kv = heads(rms(c, p["kv_a_layernorm.weight"]) @ p["kv_b_proj.weight"].T)
    s = q[..., :DH] @ kv[..., :DH].transpose(2, 3) + rope(q[..., DH:], torch.arange(T)) @ rope(kr, torch.arange(T))[:, None].transpose(2, 3)
    seen = causal_mask(T, T)[None, None] if causal else torch.ones(1, 1, T, T, dtype=torch.bool)
    if key_mask is not None:
        seen = seen & key_mask[:, None, None]
    y = torch.softmax((s / math.sqrt(DH + dr)).masked_fill(~seen, -math.inf), -1) @ kv[..., DH:]
    return joined(y) @ p["o_proj.weight"].T


KV = {"kv_a_proj_with_mqa.weight": (5, D), "kv_a_layernorm.weight": (3,), "kv_b_proj.weight": (2 * D, 3), "o_proj.weight": (D, D)}
case("latent", latent, {"q_proj.weight": (D + 2 * H, D), **KV}, q_rank=0, causal=True)
case("latent", latent, {"q_a_proj.weight": (3, D), "q_a_layernorm.weight": (3,), "q_b_proj.weight": (D + 2 * H, 3), **KV},
     q_rank=3, causal=False, key_mask=PADDED)


def sinks(x, p, key_mask, sinks, window):
    """Token by token: the cache holds the first tokens and the last, and positions are those in it."""
    q, k, v = in_projections(x, p)
    rows, cache = [], []
    for i in range(T):
        cache = [j for j in cache if j < sinks or j > i - window] + [i]
        at = torch.arange(len(cache))
        s = rope(q[:, :, i : i + 1], at[-1:]) @ rope(k[:, :, cache], at).transpose(2, 3) / math.sqrt(DH)
        rows.append(torch.softmax(s, -1) @ v[:, :, cache])
    return out(torch.cat(rows, 2), p)


case("sinks", sinks, PROJECTIONS, sinks=1, window=2)
case("sinks", sinks, PROJECTIONS, sinks=2, window=1)

pathlib.Path(__file__).with_name("attention.json").write_text("[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]\n")
