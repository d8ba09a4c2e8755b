#!/usr/bin/env python3
"""Writes ops/FAMILY.json: what PyTorch gives for float64 inputs, and the gradients under a cotangent, of the ops that
no other file here has. The awkward cases stand there on purpose: size 1, no element, rank 0, negative dimensions, ties,
broadcasting, options other than the defaults. A tensor is [shape, values] if it is of float64, else [shape, values,
dtype]; the gradient is null where there is none.

What PyTorch has no function for is written in its functions: gated units, maxout, swish, squareplus, rope, sum_to."""
import json
import math
import pathlib

import torch
import torch.nn.functional as F

FAMILIES = {}  # the cases of each


def rounded(*shape):
    """Few digits, so that the file is short and exact; never 0."""
    t = (torch.randn(shape, dtype=torch.float64) * 8).round() / 8
    return torch.where(t == 0, 0.375, t)


def separate(*shape):
    """No two alike, none 0."""
    n = torch.Size(shape).numel()
    return ((torch.randperm(n) - n // 2).double() / 4 + 0.125).reshape(shape)


def f64(*values):
    return torch.tensor(values, dtype=torch.float64)


def ints(*values):
    return torch.tensor(values)


def bools(*values):
    return torch.tensor(values, dtype=torch.bool)


class Constant:
    """An input that is not differentiated."""

    def __init__(self, tensor):
        self.tensor = tensor


def packed(t):
    if t is None:
        return None
    kind = {torch.float64: [], torch.float32: ["float32"], torch.int64: ["int64"], torch.bool: ["bool"]}[t.dtype]
    values = [int(v) if v == int(v) else v for v in t.detach().double().flatten().tolist()]
    return [list(t.shape), values] + kind


def family(name):
    global cases
    cases = FAMILIES[name] = []
    torch.manual_seed(1)  # so that a new case changes no other family


def case(op, *inputs, **options):
    constant = [isinstance(x, Constant) for x in inputs]
    inputs = [x.tensor if isinstance(x, Constant) else x for x in inputs]
    leaves = [x.clone().requires_grad_() if x.is_floating_point() and not c else x for x, c in zip(inputs, constant)]
    function = FUNCTIONS.get(op) or getattr(torch, op)
    y = function(*leaves, **options)
    y = [y] if isinstance(y, torch.Tensor) else list(y)
    dy = [rounded(*v.shape).to(v.dtype) if v.requires_grad else None for v in y]
    dx = [None] * len(leaves)
    roots = [i for i, v in enumerate(y) if v.requires_grad]
    wanted = [i for i, x in enumerate(leaves) if x.requires_grad]
    if roots:
        found = torch.autograd.grad([y[i] for i in roots], [leaves[i] for i in wanted], [dy[i] for i in roots],
                                    allow_unused=True)
        for i, g in zip(wanted, found):
            dx[i] = torch.zeros_like(leaves[i]) if g is None else g
    result = {"op": op, "options": options, "x": [packed(x) for x in leaves], "y": [packed(v) for v in y],
              "dy": [packed(v) for v in dy], "dx": [packed(g) for g in dx]}
    assert all(math.isfinite(v) for part in ("y", "dx") for t in result[part] if t for v in t[1]), result
    cases.append(result)


def over_dims(function):
    """A reduction of one dimension in turns over several."""
    def reduce(x, dim=(), keepdim=False):
        for d in sorted((d % max(x.dim(), 1) for d in dim or range(x.dim())), reverse=True):
            x = function(x, d, keepdim)
        return x
    return reduce


def slices(x, dim, start, stop, step=1):
    return x[(slice(None),) * (dim % x.dim()) + (slice(start, stop, step),)]


def halves(gate):
    def gated(x, dim=-1):
        a, b = x.chunk(2, dim)
        return a * gate(b)
    return gated


def rope(x, half_split=False, start=0, width=0, base=10000):
    """By complex numbers: a pair (a, b) is a + bi."""
    width = width or x.shape[-1]
    turned, rest = x[..., :width], x[..., width:]
    pairs = turned.unflatten(-1, (2, -1)).transpose(-1, -2) if half_split else turned.unflatten(-1, (-1, 2))
    speed = base ** (-torch.arange(0, width, 2).double() / width)
    angle = torch.outer(torch.arange(start, start + x.shape[-2]).double(), speed)
    pairs = torch.view_as_real(torch.view_as_complex(pairs.contiguous()) * torch.polar(torch.ones_like(angle), angle))
    return torch.cat([(pairs.transpose(-1, -2) if half_split else pairs).flatten(-2), rest], -1)


def linear_scan(a, b, initial=None, dim=0, reverse=False, pairs=False):
    """Step by step; numbers or pairs (re, im)."""
    a, b, h = (x if x is None or not pairs else torch.view_as_complex(x) for x in (a, b, initial))
    dim = dim % (b.dim() + pairs)
    steps = list(zip(a.expand(b.shape).unbind(dim), b.unbind(dim)))
    y = []
    for p, q in reversed(steps) if reverse else steps:
        h = q if h is None else p * h + q
        y.append(h)
    y = torch.stack(y[::-1] if reverse else y, dim) if y else b * 1
    return torch.view_as_real(y) if pairs else y


def on_complex(function):
    """Of pairs (re, im)."""
    def of_pairs(*z):
        y = function(*map(torch.view_as_complex, z))
        return torch.view_as_real(torch.resolve_conj(y)) if y.is_complex() else y
    return of_pairs


def put(x, value, *index):
    y = x.clone()
    y[index] = value
    return y


def pad(x, sizes, mode="constant", value=0):
    """As PyTorch has the other modes: with a batch, and with channels where two dimensions are padded."""
    extra = (None,) * (len(sizes) // 2)
    return F.pad(x[extra], sizes, mode, value)[(0,) * len(extra)]


def attention(q, k, v, mask=None, distance_bias=None, causal=False, scale=None, grouped=False):
    if distance_bias is not None:
        queries, keys = q.shape[-2], k.shape[-2]
        bias = distance_bias[:, torch.arange(queries)[:, None] - torch.arange(keys) + keys - 1]
        if causal:
            bias = bias.masked_fill(~torch.ones(queries, keys).tril(keys - queries).bool(), -torch.inf)
        mask, causal = bias if mask is None else torch.where(mask, bias, -torch.inf), False
    return F.scaled_dot_product_attention(q, k, v, mask, is_causal=causal, scale=scale, enable_gqa=grouped)


def scalar(function):
    """With a number, if there is one, as the second operand."""
    return lambda *x, **o: function(*x, *o.values())


def cross_entropy(x, target, weight=None, **o):
    return F.cross_entropy(x, target, weight, **o)


def on_pairs(transform, real_in=False, real_out=False):
    def function(x, n=None, dim=-1, norm=None):
        y = transform(x if real_in else torch.view_as_complex(x), n, dim, norm)
        return y if real_out else torch.view_as_real(y)
    return function


def fft_conv1d(x, k, full=False):
    """A convolution of each row by itself, by a loop over the taps."""
    T, L = x.shape[-1], k.shape[-1]
    y = sum(F.pad(x * k[..., i:i + 1], (i, L - 1 - i)) for i in range(L))
    return y if full else y[..., :T]


FUNCTIONS = {
    **{op: scalar(getattr(torch, op)) for op in
       ("add", "sub", "mul", "div", "pow", "remainder", "fmod", "eq", "ne", "lt", "le", "gt", "ge")},
    "floor_divide": scalar(lambda a, b: torch.floor_divide(a, b).detach()),  # PyTorch has no gradient
    "where": lambda c, *x, **o: torch.where(c, *x, *o.values()),
    "masked_fill": lambda x, m, value: x.masked_fill(m, value), "clamp": lambda x, low=None, high=None: x.clamp(low, high),
    "isnan": lambda a, b: torch.isnan(a / b), "isfinite": lambda a, b: torch.isfinite(a / b),
    "heaviside": lambda x, value: torch.heaviside(x, f64(value)), "swish": lambda x, b: x * torch.sigmoid(b * x),
    "squareplus": lambda x, b: (x + torch.sqrt(x * x + b)) / 2,
    "glu": F.glu, "bilinear_glu": halves(lambda b: b), "reglu": halves(F.relu), "swiglu": halves(F.silu),
    "geglu": lambda x, dim=-1, approximate="none": halves(lambda b: F.gelu(b, approximate=approximate))(x, dim),
    "maxout": lambda x, pieces, dim=-1: x.unflatten(dim, (-1, pieces)).max(dim if dim < 0 else dim + 1).values,
    "sum_to": lambda x, shape: x.sum_to_size(shape), "prod": over_dims(torch.prod),
    "norm": lambda x, p=2, dim=None, keepdim=False: torch.linalg.vector_norm(x, float(p), dim, keepdim),
    "logsumexp": lambda x, dim=None, keepdim=False: torch.logsumexp(x, dim or tuple(range(x.dim())), keepdim),
    "expand": lambda x, shape: x.expand(shape), "broadcast_to": lambda x, shape: x.broadcast_to(shape),
    "view": lambda x, shape: x.view(shape), "t": lambda x: x.t(), "slice": slices,
    "unfold": lambda x, dim, size, step: x.unfold(dim, size, step),
    "as_strided": lambda x, shape, strides, offset: x.as_strided(shape, strides, offset),
    "cat": lambda *x, dim: torch.cat(x, dim), "stack": lambda *x, dim: torch.stack(x, dim),
    "split": lambda x, size, dim: torch.split(x, size, dim),
    "linear": F.linear, "embedding": F.embedding,
    "one_hot": lambda i, classes=-1: F.one_hot(i, classes),
    "index": lambda x, *i: x[i], "index_put_": put, "scatter_add": lambda x, i, s, dim: torch.scatter_add(x, dim, i, s),
    "index_add": lambda x, i, s, dim: torch.index_add(x, dim, i, s),
    "gather": lambda x, i, dim: torch.gather(x, dim, i),
    "index_select": lambda x, i, dim: torch.index_select(x, dim, i), "mse_loss": F.mse_loss,
    "cross_entropy": cross_entropy,
    "nll_loss": lambda x, t, weight=None, **o: F.nll_loss(x, t, weight, **o),
    "binary_cross_entropy_with_logits": lambda x, t, w=None, p=None, **o:
        F.binary_cross_entropy_with_logits(x, t, w, pos_weight=p, **o),
    "sort": lambda x, **o: torch.sort(x, stable=True, **o),
    "argsort": lambda x, **o: torch.argsort(x, stable=True, **o),
    "softmax": F.softmax, "log_softmax": F.log_softmax, "softmin": F.softmin,
    "to": lambda x, dtype: x.to(getattr(torch, dtype)), "contiguous": lambda x: x.t().contiguous(),
    "identity": lambda x: x.view_as(x), "einsum": lambda *x, equation: torch.einsum(equation, *x),
    "scaled_dot_product_attention": attention, "rope": rope,
    "dropout": F.dropout, "alpha_dropout": F.alpha_dropout,
    "pad": pad,
    "repeat": lambda x, repeats: x.repeat(repeats), "tile": lambda x, repeats: torch.tile(x, repeats),
    "scatter": lambda x, i, *src, dim, **o: torch.scatter(x, dim, i, *src, **o),
    "scatter_reduce": lambda x, i, src, dim, reduce, include_self=True:
        torch.scatter_reduce(x, dim, i, src, reduce, include_self=include_self),
    "take_along_dim": lambda x, i, dim: torch.take_along_dim(x, i, dim),
    **{op: getattr(torch.linalg, op) for op in
       ("solve", "solve_triangular", "inv", "det", "slogdet", "cholesky", "matrix_power", "matrix_exp", "eigvalsh",
        "svdvals", "pinv")},
    "logdet": torch.logdet,
    # signs of vectors are free, and lstsq differs from pinv in rounding alone
    "qr": lambda a, complete=False: torch.linalg.qr(a, "complete" if complete else "reduced"),
    "eigh": lambda a: [f(y) for f, y in zip((torch.clone, torch.abs), torch.linalg.eigh(a))],
    "svd": lambda a: [f(y) for f, y in zip((torch.abs, torch.clone, torch.abs), torch.linalg.svd(a, False))],
    "lstsq": lambda a, b: torch.linalg.pinv(a) @ b,
    "rfft": on_pairs(torch.fft.rfft, real_in=True), "irfft": on_pairs(torch.fft.irfft, real_out=True),
    "fft": on_pairs(torch.fft.fft), "ifft": on_pairs(torch.fft.ifft), "fft_conv1d": fft_conv1d,
    "fftfreq": lambda n, d=1.0: torch.fft.fftfreq(n, d, dtype=torch.float64),
    "rfftfreq": lambda n, d=1.0: torch.fft.rfftfreq(n, d, dtype=torch.float64),
    "linear_scan": linear_scan, "complex::linear_scan": lambda *x, **o: linear_scan(*x, pairs=True, **o),
    "complex::from_parts": lambda re, im: torch.view_as_real(torch.complex(re, im)),
    "complex::polar": lambda r, angle: torch.view_as_real(torch.polar(r, angle)),
    **{"complex::" + op: on_complex(getattr(torch, op)) for op in
       ("real", "imag", "conj", "mul", "div", "exp", "abs", "angle")},
}

# broadcast, rank 0, no element, size 1, a number
family("elementwise")
for op in ("add", "sub", "mul", "div"):
    for a, b in (((2, 1, 3), (2, 1)), ((), (2,)), ((0, 3), (1, 3)), ((1,), ())):
        case(op, rounded(*a), rounded(*b))
    case(op, rounded(3), scalar=-2.5)
case("pow", f64(0.5, 1, 2, 3, 0, 0, 4), f64(-1.5, 2, 0, 1, 2, 0, 0.5))
case("pow", f64(-2, -0.5, 3, 0, 0), Constant(f64(3, -2, 0, 1, 0)))
case("pow", f64(2, 0.5).reshape(2, 1), f64(1, -2, 0.5))
for exponent in (0, 1, 2, 3, -1, 0.5):
    case("pow", f64(0.25, 1, 4) if exponent < 1 else f64(-1.5, 0, 2), scalar=exponent)
a, b = f64(5.5, -5.5, 5.5, -5.5, 0.25, 6), f64(2, 2, -2, -2, 7, 3)
for op in ("remainder", "fmod", "floor_divide"):
    case(op, a, b)
    case(op, a.reshape(2, 1, 3), f64(4, -2.5).reshape(2, 1))
    case(op, a, scalar=-2.5)
    case(op, ints(7, -7, 0), ints(3, 3, -2))
for op in ("minimum", "maximum"):  # ties get half
    case(op, f64(1, 2, 3, -1), f64(1, 1, 4, -1))
    case(op, separate(2, 1), f64(0.125, 0.5, -1))
    case(op, rounded(0), rounded())
case("where", bools([1, 0, 1], [0, 0, 1]), rounded(3), rounded(2, 1))
case("where", bools(1, 0), rounded(2), value=2.5)
case("masked_fill", rounded(2, 3), bools(1, 0, 1), value=-3)
case("masked_fill", rounded(), bools(1).reshape(()), value=7)
# No x is at a bound: there PyTorch 2.15 gives 0, and the library dy.
case("clamp", f64(-2, -0.5, 0, 1), low=-1, high=0.5), case("clamp", f64(1, 3), low=2, high=2)
case("clamp", f64(-2, 0, 1), low=-1), case("clamp", f64(0, 1), high=0.5), case("clamp", rounded(0), low=0, high=1)
case("neg", rounded(2, 2)), case("neg", rounded(0, 2)), case("neg", rounded())
for op in ("eq", "ne", "lt", "le", "gt", "ge"):
    case(op, f64(1, 2, 3), f64(2, 1).reshape(2, 1))
    case(op, ints(1, 2, 3), scalar=2)
for op in ("logical_and", "logical_or", "logical_xor"):
    case(op, bools(1, 1, 0, 0), bools(1, 0, 1, 0))
    case(op, f64(0.5, 0, -1), f64(0, 2).reshape(2, 1))
case("logical_not", f64(0, 0.5, -1)), case("logical_not", bools(1, 0))
for op in ("isnan", "isfinite"):
    case(op, Constant(f64(0, 1, 1, -1)), Constant(f64(0, 0, 2, 0)))

family("math")
anywhere, positive = (-2.5, -1.5, -0.5, 0, 1e-9, 0.5, 1.5, 2.5, 30), (1e-3, 0.5, 1, 1.0000001, 2, 100)
for op, points in {
        **dict.fromkeys(("exp", "expm1", "square", "sin", "cos", "tanh", "sigmoid", "erf", "abs", "sign", "floor",
                         "ceil", "round", "trunc"), anywhere),
        **dict.fromkeys(("log", "sqrt", "rsqrt"), positive), "log1p": (-0.5, -1e-9, 0, 1e-9, 1, 100),
        "reciprocal": (-4, -0.3, 0.25, 3)}.items():
    case(op, f64(*points)), case(op, f64(0.75).reshape(())), case(op, rounded(2, 0))

family("activation")
case("heaviside", Constant(f64(-1, 0, 2)), value=0.5)
for b in (4, 0.25):
    case("squareplus", f64(-1e3, -2, 0, 0.5, 30), b=b)
case("swish", rounded(2, 3), f64(1.5, -0.5, 0))
case("swish", rounded(2, 1), f64(2).reshape(()))

family("gated")
for op in ("bilinear_glu", "reglu", "geglu", "swiglu", "glu"):
    case(op, separate(2, 4)), case(op, separate(2, 1, 2), dim=0), case(op, rounded(0, 4))
case("geglu", rounded(4), approximate="tanh")
case("maxout", separate(2, 6), pieces=3), case("maxout", separate(4, 2), pieces=2, dim=0)
case("maxout", f64(1, 1, 0, 2, 2, 2), pieces=3), case("maxout", rounded(3), pieces=1)

family("reduce")
zeros = f64([0, 2, 3], [0, 0, 5], [1, -2, 0.5])
tied = f64([1, 3, 3], [2, 2, 2], [-1, -4, 0])
for op, make in (("sum", rounded), ("mean", rounded), ("prod", rounded), ("amax", separate), ("amin", separate)):
    case(op, make(2, 1, 3)), case(op, make(2, 1, 3), dim=[-1, 0], keepdim=True)
    case(op, make(2, 1, 3), dim=[1]), case(op, make())
    if op in ("sum", "prod"):
        case(op, make(0, 2), dim=[0]), case(op, ints(3, -2, 4)), case(op, bools(1, 1))
    case(op, make(0, 2), dim=[1])
for dim in ([0], [1], []):
    case("prod", zeros, dim=dim)
    case("amax", tied, dim=dim), case("amin", tied, dim=dim)
for shape in ((2, 3), (3,), (2, 1), (1, 1), ()):
    case("sum_to", rounded(2, 3), shape=shape)
for op in ("max", "min"):
    case(op, separate(2, 3), dim=-1), case(op, separate(2, 1, 2), dim=1, keepdim=True)
    case(op, tied, dim=1), case(op, tied), case(op, rounded(), dim=0)
    case("arg" + op, separate(2, 3), dim=-2, keepdim=True), case("arg" + op, tied, dim=1)
    case("arg" + op, tied), case("arg" + op, ints(3, 1, 3, 1), dim=0)
for op in ("all", "any"):
    case(op, Constant(zeros), dim=[-1], keepdim=True), case(op, bools([1, 1], [0, 0]), dim=[1])
    case(op, bools([1, 1], [0, 0])), case(op, rounded(2, 0) > 0, dim=[1])

family("statistics")
for op in ("var", "std"):
    case(op, rounded(2, 3)), case(op, rounded(2, 3), dim=[-1], correction=0, keepdim=True)
    case(op, rounded(2, 1, 4), dim=[0, -1], correction=2)
    case(op, rounded(2, 1), dim=[1], correction=0)
    case(op, f64([2, 2, 2], [1, 0, 1]), dim=[1])
for o in (dict(), dict(dim=[-1]), dict(dim=[0, 2], keepdim=True), dict(dim=[1])):
    case("logsumexp", rounded(2, 1, 3) * 8, **o)
case("logsumexp", f64([1000, 1000], [-1000, -1000]), dim=[1]), case("logsumexp", rounded())
for p in (2, 1, 3, 0.5, "inf", "-inf", 0):
    case("norm", separate(2, 3), p=p, dim=[-1])
case("norm", rounded(2, 1, 3)), case("norm", rounded(2, 1, 3), dim=[0, -1], keepdim=True)
case("norm", f64([0, 0], [3, -4]), dim=[1]), case("norm", f64(0, 2, -3), p=1)
case("norm", f64([2, -2, 1], [0, 0, 0]), p="inf", dim=[1]), case("norm", f64(0, 2, -3), p=3)
case("norm", rounded(1)), case("norm", rounded())

family("view")
case("expand", rounded(2, 1), shape=[3, 2, 2]), case("expand", rounded(), shape=[2])
case("expand", rounded(2, 1), shape=[2, 0]), case("broadcast_to", rounded(1, 2), shape=[2, 1, 2])
case("permute", rounded(2, 1, 3), dims=[-1, 0, 1]), case("permute", rounded(), dims=[])
case("transpose", rounded(2, 1, 3), dim0=-1, dim1=0), case("transpose", rounded(2, 2), dim0=1, dim1=1)
case("t", rounded(2, 3)), case("t", rounded(2)), case("squeeze", rounded(1, 2, 1))
case("squeeze", rounded(1, 2, 1), dim=-1), case("squeeze", rounded(1, 2), dim=1)
case("squeeze", rounded(1, 1))
case("unsqueeze", rounded(2), dim=-1), case("unsqueeze", rounded(), dim=0)
case("unsqueeze", rounded(2, 3), dim=-2)
case("reshape", rounded(2, 3), shape=[3, -1]), case("reshape", rounded(1), shape=[])
case("reshape", rounded(0, 2), shape=[4, 0])
case("view", rounded(2, 3), shape=[-1]), case("view", rounded(0, 2), shape=[0])
case("flatten", rounded(2, 1, 2)), case("flatten", rounded(2, 1, 2), start_dim=-2)
case("flatten", rounded())
case("unflatten", rounded(2, 4), dim=-1, sizes=[2, -1])
case("unflatten", rounded(1, 2), dim=0, sizes=[1, 1])
case("select", rounded(2, 3), dim=-1, index=-1), case("select", rounded(2), dim=0, index=0)
for start, stop, step in ((1, 5, 2), (-2, 100, 1), (-100, -1, 3), (3, 2, 1)):
    case("slice", rounded(5), dim=0, start=start, stop=stop, step=step)
case("slice", rounded(2, 3), dim=-1, start=0, stop=3, step=2)
case("narrow", rounded(2, 3), dim=-1, start=1, length=2)
case("narrow", rounded(3), dim=0, start=3, length=0)
case("diagonal", rounded(3, 3)), case("diagonal", rounded(2, 3), offset=1)
case("diagonal", rounded(2, 3), offset=-1)
case("diagonal", rounded(2, 2, 3), offset=-1, dim1=-1, dim2=0)
case("diagonal", rounded(2, 2), offset=2)
case("unfold", rounded(5), dim=0, size=3, step=1), case("unfold", rounded(2, 5), dim=-1, size=2, step=3)
case("unfold", rounded(2, 2), dim=0, size=2, step=1)
case("as_strided", rounded(5), shape=[3, 2], strides=[1, 2], offset=0)
case("as_strided", rounded(2, 2), shape=[2, 2], strides=[0, 1], offset=1)

family("join")
case("cat", rounded(2, 1), rounded(2, 3), dim=-1)
case("cat", rounded(1, 2), rounded(0, 2), rounded(2, 2), dim=0)
case("stack", rounded(2), rounded(2), dim=-1), case("stack", rounded(), rounded(), rounded(), dim=0)
case("split", rounded(5), size=2, dim=0), case("split", rounded(2, 3), size=[1, 0, 2], dim=-1)
case("chunk", rounded(5), chunks=3, dim=0), case("chunk", rounded(1, 4), chunks=3, dim=-1)
case("chunk", rounded(2), chunks=5, dim=0)
case("unbind", rounded(2, 3), dim=-1), case("unbind", rounded(1), dim=0)
case("flip", rounded(2, 3), dims=[0, -1]), case("flip", rounded(2, 1), dims=[1])
case("flip", rounded(0), dims=[0])

family("linalg")
for a, b in (((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 2)), ((2, 3), (3, 2)), ((2, 1, 2, 3), (3, 1)),
             ((2, 1, 2), (2, 2, 1)), ((2, 0), (0, 2)), ((1, 1), (1, 1)), ((2,), (2, 2, 1))):
    case("matmul", rounded(*a), rounded(*b))
case("linear", rounded(2, 3), rounded(2, 3), rounded(2)), case("linear", rounded(3), rounded(1, 3))
case("linear", rounded(2, 1, 2), rounded(3, 2), rounded(3))
case("linear", rounded(0, 2), rounded(1, 2), rounded(1))
case("addmm", rounded(2, 2), rounded(2, 3), rounded(3, 2))
case("addmm", rounded(2), rounded(2, 1), rounded(1, 2), beta=0.5, alpha=-2)
case("addmm", rounded(2, 1), rounded(2, 0), rounded(0, 2))
case("addmm", rounded(1, 1), rounded(1, 2), rounded(2, 1), beta=0)
case("outer", rounded(2), rounded(3)), case("outer", rounded(1), rounded(0))

family("index")
case("index_select", rounded(3, 2), ints(2, 0, 2), dim=0)
case("index_select", rounded(2, 3), ints(1), dim=-1)
case("index_select", rounded(2, 2), torch.zeros(0, dtype=torch.int64), dim=1)
case("index_select", rounded(3), ints(1).reshape(()), dim=0)
case("index_add", rounded(3, 2), ints(2, 0, 2), rounded(3, 2), dim=0)
case("index_add", rounded(2, 3), ints(1), rounded(2, 1), dim=-1)
case("gather", rounded(2, 3), ints([0, 0], [2, 1]), dim=-1)
case("gather", rounded(3, 2), ints([2, 0]), dim=0)
case("scatter_add", rounded(2, 3), ints([0, 0], [2, 1]), rounded(2, 2), dim=-1)
case("scatter_add", rounded(3, 2), ints([1, 0], [1, 2]), rounded(2, 2), dim=0)
case("take_along_dim", rounded(2, 3), ints([0, 0], [2, 1]), dim=-1)
case("take_along_dim", rounded(3, 2), ints([2, 0]), dim=0), case("take_along_dim", rounded(1, 2), ints([1], [0]), dim=1)
case("nonzero", f64(0, 2, -0.5)), case("nonzero", bools([0, 1], [1, 0])), case("nonzero", ints(3).reshape(()))
case("embedding", ints([0, 2], [2, 1]), rounded(3, 2))
case("embedding", ints(1, 0, 1), rounded(2, 2), padding_idx=1)
case("embedding", ints(2, 0), rounded(3, 1), padding_idx=-1)
case("embedding", ints(1).reshape(()), rounded(2, 2))
case("one_hot", ints(1, 0, 2)), case("one_hot", ints([1], [0]), classes=4)
case("one_hot", ints(0).reshape(()))
for op in ("tril", "triu"):
    for diagonal in (0, 1, -1, 5):
        case(op, rounded(2, 3), diagonal=diagonal)
    case(op, rounded(2, 2, 1))

family("indexing")
case("index", rounded(3, 2), ints(2, -3, 2))
case("index", rounded(3, 2), ints([2], [0]), ints(1, -1))
case("index", rounded(2, 3), bools([1, 0, 1], [0, 0, 1]))
case("index", rounded(2, 2), bools(0, 0))
case("index_put_", rounded(3, 2), rounded(2), ints(2, 0))
case("index_put_", rounded(2, 3), rounded(2, 1), ints([0], [1]), ints([0, 2], [1, 2]))
case("index_put_", rounded(2, 3), rounded(), bools([1, 0, 1], [0, 0, 1]))

family("loss")
for o in (dict(), dict(reduction="sum"), dict(reduction="none")):
    case("mse_loss", rounded(2, 3), rounded(2, 3), **o)
    case("cross_entropy", rounded(3, 3), ints(2, 0, 2), **o)
    case("cross_entropy", rounded(2, 3), ints(2, 0), Constant(f64(0.5, 2, 0.25)), **o)
    case("cross_entropy", rounded(3, 2), ints(1, 7, 0), ignore_index=7, **o)
    case("cross_entropy", rounded(2, 3, 2), ints([2, 0], [1, 1]), Constant(f64(0.5, 2, 1)), label_smoothing=0.2, **o)
    case("cross_entropy", rounded(2, 3), F.softmax(rounded(2, 3), 1), Constant(f64(0.5, 2, 1)), label_smoothing=0.25,
         **o)
    case("nll_loss", rounded(2, 3), ints(1, 2), Constant(f64(0.5, 2, 0.25)), **o)
    case("nll_loss", rounded(2, 2, 3), ints([0, 1, 1], [5, 0, 5]), ignore_index=5, **o)
    case("binary_cross_entropy_with_logits", rounded(2, 2), f64([0, 1], [0.25, 0.5]), **o)
    case("binary_cross_entropy_with_logits", f64([-50, 40], [0, 1]), f64([0, 1], [0.25, 0.5]),
         Constant(f64(0.5, 2)), Constant(f64([3], [0.25])), **o)
case("mse_loss", rounded(), rounded()), case("cross_entropy", rounded(3), ints(1).reshape(()))
case("cross_entropy", rounded(2, 1), ints(0, 0))
case("mse_loss", rounded(0, 2), rounded(0, 2), reduction="sum")

family("softmax")
for op in ("softmax", "log_softmax", "softmin"):
    case(op, rounded(2, 1, 3), dim=-1), case(op, rounded(2, 1), dim=1)
    case(op, rounded(), dim=0)
    case(op, rounded(0, 2), dim=0), case(op, f64([900, 899], [-900, -1000]), dim=1)

family("sort")
for options in (dict(dim=-1), dict(dim=0), dict(dim=1, descending=True)):
    case("sort", tied, **options), case("argsort", tied, **options)
case("sort", rounded()), case("sort", rounded(2, 0)), case("sort", rounded(3, 1))
case("argsort", rounded(3) * 0, dim=0)
for options in (dict(k=2), dict(k=1, dim=0, largest=False), dict(k=0), dict(k=3, dim=-1)):
    case("topk", separate(2, 3), **options)

family("scan")
for x, dim in ((rounded(2, 3), -1), (rounded(2, 3), 0), (rounded(2, 1), 1), (rounded(), 0), (rounded(0, 2), 0),
               (ints(1, 2, 3), 0)):
    case("cumsum", x, dim=dim)
    case("cumprod", x, dim=dim)
    if x.is_floating_point():
        case("logcumsumexp", x, dim=dim)
        if x.numel():
            case("cummax", x, dim=dim), case("cummin", x, dim=dim)
case("cumprod", zeros, dim=0), case("cumprod", zeros, dim=1), case("cumprod", f64(0, 0, 2, 0, -3), dim=0)
case("logcumsumexp", f64([900, 1000], [1000, -900], [-1000, 1001]), dim=0)
case("logcumsumexp", f64(-1000, -999, -1001.5), dim=0)
for x in (tied, f64(1, 3, 3, -1, 3, 4), ints(3, 1, 3, 1)):
    case("cummax", x, dim=0), case("cummin", x, dim=-1)
for reverse in (False, True):
    o = dict(dim=1, reverse=reverse)
    case("linear_scan", rounded(2, 4, 2), rounded(2, 4, 2), **o)
    case("linear_scan", rounded(2), rounded(2, 4, 2), rounded(2, 2), **o)
    case("linear_scan", rounded(4, 1), rounded(1, 4, 2), rounded(2), **o)
    case("linear_scan", f64(0, 2, 0, -1), rounded(2, 4), rounded(2), **o)
    case("linear_scan", rounded(9, 4), rounded(9, 4), rounded(9), **o)
case("linear_scan", rounded(1), rounded(1), rounded(), dim=0), case("linear_scan", rounded(0), rounded(0), dim=0)

family("complex")
for op in ("from_parts", "polar"):
    case("complex::" + op, rounded(2, 1).abs(), rounded(3)), case("complex::" + op, rounded().abs(), rounded())
    case("complex::" + op, rounded(0).abs(), rounded(1))
axes = f64([1, 0], [-1, 0], [0, 2], [0, -3], [0.5, -0.5], [0, 0])
for op in ("real", "imag", "conj", "exp", "abs", "angle"):
    case("complex::" + op, rounded(2, 3, 2)), case("complex::" + op, rounded(2)), case("complex::" + op, rounded(0, 2))
    case("complex::" + op, axes)
case("complex::abs", f64([3e200, -4e200], [3e-200, 4e-200])), case("complex::exp", f64([-800, 1], [300, -2]))
for op in ("mul", "div"):
    case("complex::" + op, rounded(2, 1, 2), rounded(3, 2)), case("complex::" + op, rounded(2), rounded(2, 2))
    case("complex::" + op, rounded(0, 2), rounded(1, 2)), case("complex::" + op, axes, axes[:5].flip(0)[:1])
case("complex::div", axes, f64([0, 1])), case("complex::div", f64([2, 1]), axes[:5])
for reverse in (False, True):
    o = dict(dim=1, reverse=reverse)
    case("complex::linear_scan", rounded(2, 3, 2, 2), rounded(2, 3, 2, 2), **o)
    case("complex::linear_scan", rounded(2, 2), rounded(2, 3, 2, 2), rounded(2, 2), **o)
    case("complex::linear_scan", rounded(3, 1, 2), rounded(1, 3, 2, 2), rounded(1, 2, 2), **o)

family("convert")
case("to", f64(1, -0.1, 3e-9), dtype="float32"), case("to", f64(1.5, -2.5, 0), dtype="int64")
case("to", f64(0.5, 0), dtype="bool")
for op in ("clone", "identity"):
    case(op, rounded(2, 1)), case(op, rounded()), case(op, rounded(0))
case("contiguous", rounded(2, 3)), case("contiguous", rounded(1, 2))

family("einsum")
for equation, *shapes in (("ij,jk->ik", (2, 3), (3, 2)), ("ii->i", (3, 3)), ("ii", (2, 2)), ("i,j->ji", (2,), (3,)),
                          ("...ij,...j->...i", (2, 1, 2, 2), (3, 2)),
                          ("abc,ab,b->c", (2, 2, 2), (2, 2), (2,)), ("ij->", (2, 0)),
                          ("i,i,i", (2,), (1,), (2,)), (",i->i", (), (2,))):
    case("einsum", *map(lambda s: rounded(*s), shapes), equation=equation)

family("attention")
# PyTorch's is_causal counts positions from the first key, the library's from the last: the same for as many queries as
# keys.
for q, k, *mask, o in (((1, 2, 2, 2), (1, 2, 3, 2), dict()), ((1, 1, 3, 2), (1, 1, 3, 2), dict(causal=True)),
                       ((1, 2, 2, 2), (1, 1, 2, 2), dict(grouped=True, scale=0.5)),
                       ((1, 1, 1, 1), (1, 1, 1, 1), dict()),
                       ((1, 1, 2, 2), (1, 1, 3, 2), bools([1, 0, 1], [0, 1, 0]), dict()),
                       ((1, 1, 2, 2), (1, 1, 3, 2), rounded(2, 3), dict())):
    case("scaled_dot_product_attention", rounded(*q), rounded(*k), rounded(*k[:-1], 1), *mask, **o)
for mask, o in ((bools([1, 1, 1]), dict(causal=True)), (bools([1, 0, 1], [0, 1, 1]), {})):
    case("scaled_dot_product_attention", rounded(2, 2, 2, 2), rounded(2, 2, 3, 2), rounded(2, 2, 3, 1), mask,
         rounded(2, 4), **o)

family("rope")
case("rope", rounded(2, 3, 4)), case("rope", rounded(1, 3, 4), half_split=True, start=5)
case("rope", rounded(2, 5), width=2, base=100)

family("fft")
for n in (1, 2, 3, 8, 11, 14, 15, 30):
    case("rfft", rounded(n)), case("irfft", rounded(n // 2 + 1, 2), n=n), case("fft", rounded(n, 2))
case("rfft", rounded(3, 4), n=7, dim=0, norm="ortho"), case("rfft", rounded(3, 4), n=2, dim=-2, norm="forward")
case("rfft", rounded(0, 4)), case("irfft", rounded(2, 5, 2)), case("irfft", rounded(2, 5, 2), n=5, norm="forward")
case("irfft", rounded(3, 4, 2), n=9, dim=0, norm="ortho"), case("irfft", rounded(3, 4, 2), n=12, dim=-1)
case("fft", rounded(3, 4, 2), n=7, dim=0, norm="ortho"), case("ifft", rounded(3, 4, 2), n=2, norm="forward")
case("ifft", rounded(3, 13, 2)), case("ifft", rounded(2, 4, 2), n=6, dim=-2, norm="ortho")
case("fft_conv1d", rounded(2, 3, 5), rounded(3, 4)), case("fft_conv1d", rounded(2, 3, 5), rounded(2, 1, 9))
case("fft_conv1d", rounded(3), rounded(2, 2), full=True), case("fft_conv1d", rounded(1), rounded(1))
for n in (1, 4, 7):
    case("fftfreq", n=n), case("rfftfreq", n=n), case("fftfreq", n=n, d=0.3)

family("random")
# outside training, where nothing is drawn
for op in ("dropout", "alpha_dropout"):
    case(op, rounded(3), p=0.5, training=False), case(op, rounded(2), p=0.0, training=True)

family("arrange")
for sizes, o in (((1, 2), {}), ((0, 1, -1, 1), dict(value=-1.5)), ((-1, -1), {}), ((2, 3), dict(mode="replicate")),
                 ((2, 1), dict(mode="reflect")), ((3, 2), dict(mode="circular")), ((-1, 2), dict(mode="replicate")),
                 ((1, 1, 0, 1), dict(mode="reflect")), ((0, 0), dict(mode="circular"))):
    case("pad", rounded(2, 3), sizes=sizes, **o)
case("pad", rounded(1, 0), sizes=(1, 1)), case("pad", rounded(1, 1), sizes=(2, 0), mode="replicate")
for o in (dict(shifts=1), dict(shifts=-4), dict(shifts=(1,), dims=(-1,)), dict(shifts=(2, -1), dims=(0, 1)),
          dict(shifts=(1, 1), dims=(1, 1))):
    case("roll", rounded(2, 3), **o)
case("roll", rounded(0, 3), shifts=(1,), dims=(0,)), case("roll", rounded(), shifts=2)
for repeats in ((2, 1), (1, 3), (2, 1, 2), (0, 1)):
    case("repeat", rounded(2, 2), repeats=repeats), case("tile", rounded(2, 2), repeats=repeats)
case("repeat", rounded(), repeats=()), case("repeat", rounded(), repeats=(2,)), case("tile", rounded(2, 2), repeats=(3,))
case("repeat_interleave", rounded(2, 2), repeats=2), case("repeat_interleave", rounded(2, 2), repeats=3, dim=-1)
case("repeat_interleave", rounded(2, 3), ints(2, 0, 1), dim=1), case("repeat_interleave", rounded(2), ints(2))
case("repeat_interleave", rounded(2, 1), repeats=0, dim=0)

family("scatter")
case("scatter", rounded(2, 3), ints([0, 1], [2, 1]), rounded(2, 2), dim=-1)
case("scatter", rounded(3, 2), ints([1, 0], [2, 2]), rounded(2, 2), dim=0)
case("scatter", rounded(3, 2), ints([1, 0], [1, 2]), dim=0, value=-2.5)
case("scatter", rounded(2, 2), torch.zeros(2, 0, dtype=torch.int64), rounded(2, 0), dim=1)
for reduce in ("sum", "prod", "mean", "amax", "amin"):
    for include_self in (True, False):
        o = dict(reduce=reduce, include_self=include_self)
        case("scatter_reduce", separate(2, 3), ints([0, 0, 2], [2, 2, 2]), separate(2, 3) + 0.125, dim=-1, **o)
        case("scatter_reduce", separate(3, 2), ints([1, 0], [1, 2]), separate(2, 2) - 0.0625, dim=0, **o)
# ties, with x and among themselves; a zero; two. Without include_self PyTorch counts x among the ties all the same.
for reduce in ("amax", "amin"):
    for include_self in (True, False):
        case("scatter_reduce", f64(1 if include_self else 3, 2, 3), ints(0, 0, 2, 2), f64(1, 1, 5, 5), dim=0,
             reduce=reduce, include_self=include_self)
case("scatter_reduce", f64(2, 3, 0), ints(0, 0, 2, 1, 1), f64(0, 4, 5, 0, 0), dim=0, reduce="prod")

family("solve")


def regular(*shape):
    return rounded(*shape) + 4 * torch.eye(shape[-1], dtype=torch.float64)


def definite(*shape):
    half = rounded(*shape).tril()
    return half @ half.mT


for a, b, *left in (((3, 3), (3, 2)), ((2, 2), (2,)), ((2, 2, 2), (2, 2)), ((2, 1, 2, 2), (3, 2, 1)), ((1, 1), (1, 1)),
                    ((2, 2), (3, 2), False), ((0, 0), (0, 2)), ((0, 2, 2), (0, 2, 1))):
    case("solve", regular(*a), rounded(*b), **(dict(left=left[0]) if left else {}))
for options in (dict(upper=True), dict(upper=False), dict(upper=True, unitriangular=True), dict(upper=False, left=False)):
    case("solve_triangular", regular(3, 3), rounded(3, 3), **options)
    case("solve_triangular", regular(2, 1, 2, 2), rounded(2, 2), **options)
for op in ("inv", "det", "slogdet", "cholesky", "matrix_exp"):
    make = definite if op == "cholesky" else regular
    case(op, make(3, 3)), case(op, make(2, 1, 2, 2)), case(op, make(1, 1))
    case(op, make(0, 0)) if op in ("inv", "det", "cholesky") else case(op, make(5, 5) / 4)
# at singular matrices PyTorch 2.15 gives 0 as the gradient of det, and the library the cofactors
case("matrix_exp", f64([0, 1], [0, 0])), case("matrix_exp", rounded(3, 3) * 1e-3), case("matrix_exp", rounded(4, 4) * 8)
case("logdet", f64([2, 1], [0.5, 3])), case("logdet", f64([[2, 0.25], [-1, 3]], [[0, 2], [-4, 0.5]]))
for n in (1, 2, 5, -1, -3):
    case("matrix_power", regular(2, 2) / 4, n=n)
case("matrix_power", Constant(regular(2, 2)), n=0)

family("decomposition")
for shape in ((3, 3), (4, 2), (2, 4), (2, 1, 3, 2), (1, 1)):
    for op in ("qr", "svd", "svdvals", "pinv"):
        case(op, rounded(*shape))
case("qr", rounded(2, 3), complete=True), case("qr", rounded(0, 2)), case("qr", rounded(2, 0))
for shape in ((3, 3), (2, 1, 2, 2), (1, 1), (5, 5)):
    case("eigh", definite(*shape)), case("eigvalsh", definite(*shape))
case("pinv", f64([1, 2], [2, 4], [1, 2])), case("svdvals", f64([1, 0], [0, 1]))
case("lstsq", rounded(3, 2), rounded(3, 1)), case("lstsq", rounded(2, 3), rounded(2, 2, 1))

folder = pathlib.Path(__file__).with_name("ops")
for name, cases in FAMILIES.items():
    text = "[\n" + ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases) + "\n]\n"
    (folder / f"{name}.json").write_text(text)
    print(name, len(cases), len(text))
