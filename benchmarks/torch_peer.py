#!/usr/bin/env python3
"""Times PyTorch on the workloads of benchmarks/*.cpp, which have the same names, shapes and work here.

  torch_peer.py [--only REGEX] [--all] [--threads N] [--min-time S] [--list]   prints a line a workload
  torch_peer.py --memory --only REGEX [--mode MODE]    the memory that one workload takes, as a line of JSON
  torch_peer.py --serve [--threads N]    for scripts/bench-vs-torch: answers each line {"name", "min_time", "mode"} on the
                                         standard input with a line of results

A mode says how PyTorch is to play: "channels_last" for the memory of 4-d tensors, "foreach" or "fused" for optimizers,
joined by "+", or "" for the defaults. A result names those switches that made a difference to what was run ("uses").
Every workload is forward and backward in float32 unless its name says otherwise.
"""
import argparse
import ctypes
import gc
import json
import pathlib
import re
import statistics
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

import torch_attentions
import torch_decay
import torch_sequences

STANDARD, VARIANTS = {}, {}  # name -> function that sets the workload up and returns a step
MODE, USES = set(), set()


def workload(function):
    STANDARD[function.__name__] = function


def variant(name, make):
    VARIANTS[name] = make


# ---- what workloads are made of ----

def in_format(t):
    """t, or the parameters of a module, as the mode wants 4-d tensors to lie."""
    if isinstance(t, nn.Module) or t.dim() == 4:
        USES.add("channels_last")
        if "channels_last" in MODE:
            return t.to(memory_format=torch.channels_last)
    return t


def leaf(*shape, dtype=torch.float32):
    return in_format(torch.randn(*shape, dtype=dtype)).requires_grad_()


def make_optimizer(kind, parameters, **options):
    USES.update(("foreach", "fused"))
    for switch in ("foreach", "fused"):
        if switch in MODE:
            options[switch] = True
    return kind(parameters, **options)


def forward_backward(leaves, forward):
    gradient = torch.randn_like(forward())

    def step():
        for t in leaves:
            t.grad = None
        forward().backward(gradient)

    return step


def training_step(model, optimizer, loss):
    def step():
        optimizer.zero_grad(set_to_none=True)
        loss(model).backward()
        optimizer.step()

    return step


# ---- overhead ----

@workload
def overhead_add():  # 100 adds of (8,), no graph
    a, b = torch.randn(8), torch.randn(8)

    def step():
        with torch.no_grad():
            for _ in range(100):
                a + b

    return step


@workload
def overhead_chain():  # 100 nodes of x * a + b on (16,)
    x, a, b, g = leaf(16), leaf(16), leaf(16), torch.ones(16)

    def step():
        x.grad = a.grad = b.grad = None
        y = x
        for _ in range(100):
            y = y * a + b
        y.backward(g)

    return step


@workload
def overhead_tiny_mlp():
    model = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 1))
    x, y = torch.randn(4, 2), torch.randn(4, 1)
    return training_step(model, make_optimizer(torch.optim.SGD, model.parameters(), lr=0.01), lambda m: F.mse_loss(m(x), y))


# ---- kernels ----

@workload
def matmul_512():
    a, b = leaf(512, 512), leaf(512, 512)
    return forward_backward([a, b], lambda: a @ b)


@workload
def matmul_batched():
    a, b = leaf(64, 64, 64), leaf(64, 64, 64)
    return forward_backward([a, b], lambda: a @ b)


@workload
def elementwise_chain():
    a, b, c = leaf(1 << 20), leaf(1 << 20), leaf(1 << 20)
    return forward_backward([a, b, c], lambda: torch.tanh(a * b + c) * torch.sigmoid(a))


@workload
def bias_broadcast():
    a, b = leaf(4096, 1024), leaf(1024)
    return forward_backward([a, b], lambda: a + b)


@workload
def permute_copy():
    a = torch.randn(64, 128, 16, 32, requires_grad=True)  # channels-last, there would be nothing to copy
    return forward_backward([a], lambda: a.permute(0, 2, 3, 1).contiguous())


@workload
def reduce_mean_dim():
    a = leaf(256, 64, 256)
    return forward_backward([a], lambda: a.mean(1))


@workload
def gelu():
    a = leaf(1024, 1024)
    return forward_backward([a], lambda: F.gelu(a))


@workload
def silu():
    a = leaf(1024, 1024)
    return forward_backward([a], lambda: F.silu(a))


@workload
def softmax():
    a = leaf(4096, 512)
    return forward_backward([a], lambda: F.softmax(a, -1))


@workload
def layer_norm():
    a, w, b = leaf(4096, 512), leaf(512), leaf(512)
    return forward_backward([a, w, b], lambda: F.layer_norm(a, (512,), w, b))


@workload
def batch_norm():
    a, w, b = leaf(32, 64, 28, 28), leaf(64), leaf(64)
    return forward_backward([a, w, b], lambda: F.batch_norm(a, None, None, w, b, training=True))


@workload
def cross_entropy():
    a, y = leaf(1024, 8192), torch.randint(0, 8192, (1024,))
    return forward_backward([a], lambda: F.cross_entropy(a, y))


@workload
def embedding():
    w, i = leaf(20000, 256), torch.randint(0, 20000, (4096,))
    return forward_backward([w], lambda: F.embedding(i, w))


def convolution(x_shape, w_shape, function=F.conv2d, dtype=torch.float32, outputs=None, **options):
    x, w, b = leaf(*x_shape, dtype=dtype), leaf(*w_shape, dtype=dtype), leaf(outputs or w_shape[0], dtype=dtype)
    return forward_backward([x, w, b], lambda: function(x, w, b, **options))


@workload
def conv3x3():
    return convolution((32, 64, 28, 28), (64, 64, 3, 3), padding=1)


@workload
def conv1x1():
    return convolution((32, 128, 14, 14), (128, 128, 1, 1))


@workload
def conv_depthwise():
    return convolution((32, 128, 28, 28), (128, 1, 3, 3), padding=1, groups=128)


@workload
def conv_transpose():
    return convolution((32, 64, 14, 14), (64, 32, 4, 4), F.conv_transpose2d, outputs=32, stride=2, padding=1)


@workload
def max_pool():
    x = leaf(32, 64, 28, 28)
    return forward_backward([x], lambda: F.max_pool2d(x, 2))


@workload
def upsample_bilinear():
    x = leaf(8, 32, 64, 64)
    return forward_backward([x], lambda: F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False))


@workload
def pixel_shuffle():
    x = leaf(8, 128, 64, 64)
    return forward_backward([x], lambda: F.pixel_shuffle(x, 2))


def attention(shape, causal):
    q, k, v = (torch.randn(*shape).requires_grad_() for _ in range(3))
    return forward_backward([q, k, v], lambda: F.scaled_dot_product_attention(q, k, v, is_causal=causal))


@workload
def attention_1k():
    return attention((2, 8, 1024, 64), True)


@workload
def attention_4k():
    return attention((1, 4, 4096, 64), True)


def recurrent(kind, steps, batch, hidden, layers=1, both_ways=False):
    model, x = getattr(nn, kind)(hidden, hidden, layers, bidirectional=both_ways), leaf(steps, batch, hidden)
    return forward_backward([x, *model.parameters()], lambda: model(x)[0])


@workload
def lstm():
    return recurrent("LSTM", 64, 32, 128)


def optimizer_step(kind, **options):  # of 10 million parameters
    parameters = [torch.randn(200_000, requires_grad=True) for _ in range(50)]
    for p in parameters:
        p.grad = torch.randn_like(p)
    return make_optimizer(kind, parameters, lr=1e-3, **options).step


@workload
def adamw_10m():
    return optimizer_step(torch.optim.AdamW)


@workload
def sgd_momentum_10m():
    return optimizer_step(torch.optim.SGD, momentum=0.9)


@workload
def hessian_vector():
    model = nn.Sequential(nn.Linear(64, 256), nn.Tanh(), nn.Linear(256, 256), nn.Tanh(), nn.Linear(256, 1))
    x, y = torch.randn(128, 64), torch.randn(128, 1)
    parameters = list(model.parameters())
    vectors = [torch.randn_like(p) for p in parameters]

    def step():
        g = torch.autograd.grad(F.mse_loss(model(x), y), parameters, create_graph=True)
        torch.autograd.grad(sum((a * b).sum() for a, b in zip(g, vectors)), parameters)

    return step


# ---- products ----

@workload
def matrix_vector():
    a, x = leaf(4096, 4096), leaf(4096)
    return forward_backward([a, x], lambda: a @ x)


@workload
def matrix_vector_t():
    a, x = leaf(4096, 4096), leaf(4096)
    return forward_backward([a, x], lambda: a.t() @ x)


@workload
def matmul_odd():
    a, b = leaf(487, 331), leaf(331, 613)
    return forward_backward([a, b], lambda: a @ b)


@workload
def feed_forward_gelu():
    up, down, x = nn.Linear(256, 1024), nn.Linear(1024, 256), leaf(4096, 256)
    return forward_backward([x, *up.parameters(), *down.parameters()], lambda: down(F.gelu(up(x))))


@workload
def feed_forward_swiglu():
    gate, up, down, x = *(nn.Linear(i, o, bias=False) for i, o in ((256, 683), (256, 683), (683, 256))), leaf(4096, 256)
    return forward_backward([x, gate.weight, up.weight, down.weight], lambda: down(F.silu(gate(x)) * up(x)))


@workload
def lstm_2x256():
    m, x = nn.LSTM(256, 256, num_layers=2), leaf(64, 32, 256)
    return forward_backward([*m.parameters(), x], lambda: m(x)[0])


# ---- training ----

def classify(model, batch):
    x, y = in_format(torch.randn(batch, 1, 28, 28)), torch.randint(0, 10, (batch,))
    model = in_format(model)
    optimizer = make_optimizer(torch.optim.AdamW, model.parameters(), lr=1e-3)
    return training_step(model, optimizer, lambda m: F.cross_entropy(m(x), y))


@workload
def train_mlp():
    return classify(nn.Sequential(nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(),
                                  nn.Linear(128, 10)), 128)


@workload
def train_cnn():
    return classify(nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(),
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(3136, 128), nn.ReLU(), nn.Linear(128, 10)), 64)


@workload
def train_mobilenet():
    layers = [nn.Conv2d(1, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU6()]
    for i, o, s in [(32, 64, 1), (64, 128, 2), (128, 128, 1), (128, 256, 2), (256, 256, 1), (256, 512, 2), (512, 512, 1)]:
        layers += [nn.Conv2d(i, i, 3, s, 1, groups=i, bias=False), nn.BatchNorm2d(i), nn.ReLU6(),
                   nn.Conv2d(i, o, 1, bias=False), nn.BatchNorm2d(o), nn.ReLU6()]
    return classify(nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10)), 64)


class Block(nn.Module):
    def __init__(self, d, heads):
        super().__init__()
        self.heads, self.n1, self.n2 = heads, nn.LayerNorm(d), nn.LayerNorm(d)
        self.qkv, self.proj, self.up, self.down = nn.Linear(d, 3 * d), nn.Linear(d, d), nn.Linear(d, 4 * d), nn.Linear(4 * d, d)

    def forward(self, x):
        b, t, d = x.shape
        q, k, v = self.qkv(self.n1(x)).view(b, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.proj(y.transpose(1, 2).reshape(b, t, d))
        return x + self.down(F.gelu(self.up(self.n2(x))))


class Gpt(nn.Module):
    def __init__(self, vocabulary, t, d, heads, layers):
        super().__init__()
        self.tok, self.pos = nn.Embedding(vocabulary, d), nn.Embedding(t, d)
        self.blocks = nn.Sequential(*[Block(d, heads) for _ in range(layers)])
        self.norm, self.head = nn.LayerNorm(d), nn.Linear(d, vocabulary, bias=False)

    def forward(self, i):
        return self.head(self.norm(self.blocks(self.tok(i) + self.pos.weight[: i.shape[1]])))


@workload
def train_gpt():
    model = Gpt(96, 128, 128, 4, 4)
    i, y = torch.randint(0, 96, (16, 128)), torch.randint(0, 96, (16 * 128,))
    optimizer = make_optimizer(torch.optim.AdamW, model.parameters(), lr=1e-3)
    return training_step(model, optimizer, lambda m: F.cross_entropy(m(i).view(-1, 96), y))


def conv_norm_relu(i, o, stride=1):
    return nn.Sequential(nn.Conv2d(i, o, 3, stride, 1, bias=False), nn.BatchNorm2d(o), nn.ReLU())


class ResidualBlock(nn.Module):
    def __init__(self, i, o, stride):
        super().__init__()
        self.first, self.second, self.norm = conv_norm_relu(i, o, stride), nn.Conv2d(o, o, 3, padding=1, bias=False), nn.BatchNorm2d(o)
        if i != o or stride != 1:
            self.shortcut = nn.Sequential(nn.Conv2d(i, o, 1, stride, bias=False), nn.BatchNorm2d(o))
        else:
            self.shortcut = nn.Identity()

    def forward(self, x):
        return F.relu(self.norm(self.second(self.first(x))) + self.shortcut(x))


class ResNet20(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = conv_norm_relu(3, 16)
        shapes = [(16, 16, 1)] * 3 + [(16, 32, 2), (32, 32, 1), (32, 32, 1), (32, 64, 2), (64, 64, 1), (64, 64, 1)]
        self.blocks, self.head = nn.Sequential(*[ResidualBlock(*s) for s in shapes]), nn.Linear(64, 10)

    def forward(self, x):
        return self.head(self.blocks(self.stem(x)).mean((2, 3)))


def resnet():
    model, x, y = in_format(ResNet20()), in_format(torch.randn(64, 3, 32, 32)), torch.randint(0, 10, (64,))
    optimizer = make_optimizer(torch.optim.AdamW, model.parameters(), lr=1e-3)
    return training_step(model, optimizer, lambda m: F.cross_entropy(m(x), y))


@workload
def train_resnet():
    return resnet()


@workload
def train_resnet_channels_last():  # the same here, where each workload takes the better order
    return resnet()


class UNet(nn.Module):
    def __init__(self):
        super().__init__()

        def two(i, o):
            return nn.Sequential(conv_norm_relu(i, o), conv_norm_relu(o, o))

        self.down1, self.down2, self.bottom, self.up2, self.up1 = two(3, 32), two(32, 64), two(64, 128), two(128, 64), two(64, 32)
        self.rise2, self.rise1 = nn.ConvTranspose2d(128, 64, 2, 2), nn.ConvTranspose2d(64, 32, 2, 2)
        self.head = nn.Conv2d(32, 3, 1)

    def forward(self, x):
        a = self.down1(x)
        b = self.down2(F.max_pool2d(a, 2))
        d = self.up2(torch.cat([self.rise2(self.bottom(F.max_pool2d(b, 2))), b], 1))
        return self.head(self.up1(torch.cat([self.rise1(d), a], 1)))


@workload
def train_unet():
    model, x, y = in_format(UNet()), in_format(torch.randn(8, 3, 64, 64)), torch.randn(8, 3, 64, 64)
    optimizer = make_optimizer(torch.optim.AdamW, model.parameters(), lr=1e-3)
    return training_step(model, optimizer, lambda m: F.mse_loss(m(x), y))


# ---- variants ----

def of_one(shape, function, dtype=torch.float32):
    def make():
        x = leaf(*shape, dtype=dtype)
        return forward_backward([x], lambda: function(x))

    return make


for name, f in {
    "relu": F.relu, "relu6": F.relu6, "leaky_relu": F.leaky_relu, "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "sigmoid": torch.sigmoid, "tanh": torch.tanh, "softplus": F.softplus, "log_sigmoid": F.logsigmoid,
    "elu": F.elu, "celu": F.celu, "selu": F.selu, "mish": F.mish, "softsign": F.softsign, "hardsigmoid": F.hardsigmoid,
    "hardswish": F.hardswish, "hardtanh": F.hardtanh, "softshrink": F.softshrink, "hardshrink": F.hardshrink,
    "tanhshrink": F.tanhshrink, "glu": F.glu, "exp": torch.exp, "square": torch.square, "dropout": lambda x: F.dropout(x, 0.1),
}.items():
    variant("act_" + name, of_one((1024, 1024), f))


def matmul(n, a_transposed, b_transposed):
    a, b = leaf(n, n), leaf(n, n)
    return forward_backward([a, b], lambda: (a.t() if a_transposed else a) @ (b.t() if b_transposed else b))


for n in (8, 16, 32, 64, 128, 256, 512, 1024):
    for kind in ("nn", "nt", "tn", "tt"):
        variant(f"matmul_{n}_{kind}", lambda n=n, kind=kind: matmul(n, kind[0] == "t", kind[1] == "t"))


def linear(n):
    x, w, b = leaf(n, 512), leaf(512, 512), leaf(512)
    return forward_backward([x, w, b], lambda: F.linear(x, w, b))


for n in (1, 8, 64, 512):
    variant(f"linear_batch{n}", lambda n=n: linear(n))


def conv_variant(name, n, c, side, o, kernel, stride=1, padding=0, dilation=1, groups=1, dtype=torch.float32):
    variant("conv_" + name, lambda: convolution((n, c, side, side), (o, c // groups, kernel, kernel), dtype=dtype,
                                                stride=stride, padding=padding, dilation=dilation, groups=groups))


for n in (1, 4, 16, 32, 64, 256):
    conv_variant(f"images{n}", n, 32, 28, 32, 3, padding=1)
    if n == 32:
        conv_variant("f64", n, 32, 28, 32, 3, padding=1, dtype=torch.float64)
conv_variant("first_layer", 64, 3, 32, 64, 3, padding=1)
conv_variant("5x5", 32, 32, 28, 32, 5, padding=2)
conv_variant("7x7_stride2", 8, 3, 112, 64, 7, stride=2, padding=3)
conv_variant("stride2", 32, 64, 28, 64, 3, stride=2, padding=1)
conv_variant("dilation2", 32, 32, 28, 32, 3, padding=2, dilation=2)
conv_variant("groups4", 32, 64, 28, 64, 3, padding=1, groups=4)
conv_variant("1x1_wide", 32, 256, 14, 256, 1)
conv_variant("depthwise_stride2", 32, 128, 28, 128, 3, stride=2, padding=1, groups=128)
conv_variant("small_maps", 32, 256, 7, 256, 3, padding=1)
variant("conv1d", lambda: convolution((16, 64, 512), (64, 64, 5), F.conv1d, padding=2))
variant("conv3d", lambda: convolution((4, 16, 16, 16, 16), (32, 16, 3, 3, 3), F.conv3d, padding=1))

for name, f in {
    "pool_max_3x3_stride2": lambda x: F.max_pool2d(x, 3, 2, 1), "pool_max_3x3_stride1": lambda x: F.max_pool2d(x, 3, 1, 1),
    "pool_avg_2x2": lambda x: F.avg_pool2d(x, 2), "pool_avg_3x3_stride1": lambda x: F.avg_pool2d(x, 3, 1, 1),
    "pool_adaptive_1": lambda x: F.adaptive_avg_pool2d(x, 1), "pool_adaptive_7": lambda x: F.adaptive_avg_pool2d(x, 7),
    "upsample_nearest": lambda x: F.interpolate(x, scale_factor=2),
    "upsample_bicubic": lambda x: F.interpolate(x, scale_factor=2, mode="bicubic"),
    "pixel_unshuffle": lambda x: F.pixel_unshuffle(x, 2),
}.items():
    variant(name, of_one((32, 64, 28, 28), f))

for t in (64, 128, 256, 512, 1024, 2048, 4096):
    variant(f"attention_causal_{t}", lambda t=t: attention((4096 // t, 4, t, 64), True))
    variant(f"attention_full_{t}", lambda t=t: attention((4096 // t, 4, t, 64), False))

for name, f in {
    "sum_all": torch.sum, "sum_dim0": lambda x: x.sum(0), "sum_dim1": lambda x: x.sum(1), "sum_dim2": lambda x: x.sum(2),
    "max_dim0": lambda x: x.max(0).values, "max_dim2": lambda x: x.max(2).values, "var_dim1": lambda x: x.var(1),
    "var_dim2": lambda x: x.var(2), "logsumexp_dim1": lambda x: x.logsumexp(1), "logsumexp_dim2": lambda x: x.logsumexp(2),
    "norm_all": lambda x: torch.linalg.vector_norm(x), "softmax_dim0": lambda x: F.softmax(x, 0),
    "softmax_dim1": lambda x: F.softmax(x, 1), "log_softmax_dim2": lambda x: F.log_softmax(x, 2),
    "cumsum_dim1": lambda x: x.cumsum(1), "cumsum_dim2": lambda x: x.cumsum(2), "sort_dim2": lambda x: x.sort(2).values,
    "topk_dim2": lambda x: x.topk(8, 2).values, "transpose_copy": lambda x: x.transpose(0, 2).contiguous(),
    "cat_dim1": lambda x: torch.cat([x, x], 1), "slice_step2": lambda x: x[:, :, 0:256:2] * 2,
}.items():
    variant(name, of_one((256, 64, 256), f))


def norm(shape, features, function, count=2):
    def make():
        x, parameters = leaf(*shape), [leaf(features) for _ in range(count)]
        return forward_backward([x, *parameters], lambda: function(x, *parameters))

    return make


variant("norm_rms", norm((4096, 512), 512, lambda x, w: F.rms_norm(x, (512,), w, 1e-6), 1))
variant("norm_layer_wide", norm((64, 32768), 32768, lambda x, w, b: F.layer_norm(x, (32768,), w, b)))
variant("norm_group", norm((32, 64, 28, 28), 64, lambda x, w, b: F.group_norm(x, 8, w, b)))
variant("norm_instance", norm((32, 64, 28, 28), 64, lambda x, w, b: F.instance_norm(x, None, None, w, b)))
variant("norm_batch_rows", norm((4096, 512), 512, lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True)))

variant("rnn", lambda: recurrent("RNN", 64, 32, 128))
variant("gru", lambda: recurrent("GRU", 64, 32, 128))
variant("lstm_batch1", lambda: recurrent("LSTM", 64, 1, 128))
variant("lstm_2_layers_both_ways", lambda: recurrent("LSTM", 64, 32, 128, 2, True))


def with_constant(x_shape, constant, function):
    def make():
        x, other = leaf(*x_shape), constant()
        return forward_backward([x], lambda: function(x, other))

    return make


for name, shape, dtype in (("rfft_4096", (8, 256, 4096), torch.float32), ("rfft_4096_f64", (8, 256, 4096), torch.float64),
                           ("rfft_1000", (8, 256, 1000), torch.float32),
                           ("rfft_prime_1021", (8, 256, 1021), torch.float32), ("rfft_one_row", (65536,), torch.float32)):
    variant(name, of_one(shape, lambda x: torch.view_as_real(torch.fft.rfft(x)), dtype))


def fft_conv1d(dim):
    """As S4 does it: padded transforms, their product, and back."""
    def make():
        x, k = leaf(8, *((256, 2048) if dim == -1 else (2048, 256))), leaf(256, 2048)

        def forward():
            product = torch.fft.rfft(x.transpose(-1, dim), n=4096) * torch.fft.rfft(k, n=4096)
            return torch.fft.irfft(product, n=4096)[..., :2048].transpose(-1, dim)
        return forward_backward([x, k], forward)
    return make


variant("fft_conv1d", fft_conv1d(-1))
variant("fft_conv1d_channels_last", fft_conv1d(-2))
variant("loss_mse", with_constant((1024, 1024), lambda: torch.randn(1024, 1024), F.mse_loss))
variant("loss_bce_with_logits",
        with_constant((1024, 1024), lambda: torch.rand(1024, 1024), F.binary_cross_entropy_with_logits))
variant("cross_entropy_small", with_constant((2048, 96), lambda: torch.randint(0, 96, (2048,)), F.cross_entropy))
variant("gather", with_constant((4096, 512), lambda: torch.randint(0, 512, (4096, 64)), lambda x, i: x.gather(1, i)))
variant("index_select", with_constant((4096, 512), lambda: torch.randint(0, 4096, (2048,)), lambda x, i: x.index_select(0, i)))


def where():
    a, b, c = leaf(1024, 1024), leaf(1024, 1024), torch.randn(1024, 1024) > 0
    return forward_backward([a, b], lambda: torch.where(c, a, b))


variant("where", where)
variant("adam_10m", lambda: optimizer_step(torch.optim.Adam))

for name, f in {
    "gelu": F.gelu, "tanh": torch.tanh, "softmax": lambda x: F.softmax(x, -1),
    "layer_norm": lambda x: F.layer_norm(x, (512,)), "sum": lambda x: x.sum(0),
}.items():
    variant(name + "_f64", of_one((2048, 512), f, torch.float64))


def matmul_256_f64():
    a, b = leaf(256, 256, dtype=torch.float64), leaf(256, 256, dtype=torch.float64)
    return forward_backward([a, b], lambda: a @ b)


variant("matmul_256_f64", matmul_256_f64)
torch_sequences.add_to(variant, leaf, forward_backward)
torch_decay.add_to(variant, leaf, forward_backward)
torch_attentions.add_to(variant, leaf, forward_backward)


# ---- the clock ----

def measure(make, min_time, mode=""):
    MODE.clear()
    MODE.update(mode.split("+"))
    USES.clear()
    torch.manual_seed(0)
    step = make()
    uses = sorted(USES)
    for _ in range(5):
        step()
    times, spent = [], 0.0
    while spent < min_time or len(times) < 5:
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
        spent += times[-1]
    del step
    gc.collect()
    return {"median_ms": statistics.median(times) * 1e3, "best_ms": min(times) * 1e3, "n": len(times), "uses": uses}


def status(key):
    """What the system says of this process, in bytes."""
    return 1024 * int(re.search(rf"^{key}:\s+(\d+)", pathlib.Path("/proc/self/status").read_text(), re.M)[1])


def process_growth(make, mode=""):
    """The most memory that the process had at once in five steps, above what it had after a first small step, but for
    files mapped into it: as bench.cpp measures it."""
    MODE.update(mode.split("+"))
    model, x = nn.Conv2d(1, 4, 3), torch.randn(2, 1, 8, 8)
    training_step(model, make_optimizer(torch.optim.AdamW, model.parameters()), lambda m: m(x).mean())()
    torch.ones(1 << 16) + 1  # large enough for all threads: they are there
    gc.collect()
    USES.clear()
    libraries = ctypes.CDLL(None)
    for give_back in ("malloc_trim", "MallocExtension_ReleaseFreeMemory"):  # what is free already; of libc, of tcmalloc
        getattr(libraries, give_back, lambda _: None)(0)
    pathlib.Path("/proc/self/clear_refs").write_text("5")  # forgets VmHWM, the high-water mark
    before = status("RssAnon")
    step = make()
    for _ in range(5):
        step()
    return {"process_mb": (status("VmHWM") - status("RssFile") - status("RssShmem") - before) / 1e6, "uses": sorted(USES)}


def serve():
    workloads = STANDARD | VARIANTS
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            answer = measure(workloads[asked["name"]], asked["min_time"], asked["mode"])
        except Exception as error:  # a mode that this release of PyTorch does not have
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=".", help="those whose name this regular expression finds")
    parser.add_argument("--all", action="store_true", help="the variants too")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--min-time", type=float, default=1.0, help="seconds for each")
    parser.add_argument("--mode", default="")
    parser.add_argument("--list", action="store_true", help="only print the names")
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--serve", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.set_flush_denormal(True)  # decays of long sequences underflow
    chosen = {n: f for n, f in (STANDARD | (VARIANTS if options.all else {})).items() if re.search(options.only, n)}
    if options.list:
        print("\n".join(chosen))
    elif options.serve:
        print(json.dumps({"torch": torch.__version__}), flush=True)
        serve()
    elif options.memory:
        (make,) = chosen.values()
        print(json.dumps(process_growth(make, options.mode)))
    else:
        for name, make in chosen.items():
            r = measure(make, options.min_time, options.mode)
            print(f"{name:24s} {r['median_ms']:10.4f} ms  best {r['best_ms']:10.4f}  n={r['n']}", flush=True)


if __name__ == "__main__":
    main()
