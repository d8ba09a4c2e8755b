"""PyTorch's side of benchmarks/decay.cpp, for torch_peer.py: written from the formulas, chunk by chunk where that is
faster than token by token."""
import math

import torch
import torch.nn as nn
import torch.nn.functional as F

BATCH, STEPS, WIDTH, CHUNK = 8, 2048, 256, 64


def heads(x, count):
    return x.unflatten(2, (count, -1)).transpose(1, 2)


def joined(x):
    return x.transpose(1, 2).flatten(2)


def rms(x, eps=1e-6):
    return x * (x.square().mean(-1, keepdim=True) + eps).rsqrt()


def linear(inputs, outputs, bias=False):
    return nn.Linear(inputs, outputs, bias=bias)


def with_states(y, queries, own, end):
    """y of each chunk and what its queries read from the states before it, of which each adds its own."""
    s, starts = torch.zeros_like(own[:, :, 0]), []
    for i in range(own.shape[2]):
        starts.append(s)
        s = s * end[:, :, i] + own[:, :, i]
    return (y + queries @ torch.stack(starts, 2)).flatten(2, 3)


def scalar_decay(q, k, v, g):
    """q and k (B, H or 1, T, m), v (B, H, T, n), g (B, H, T): the logarithms of the decays."""
    q, k, v, g = (t.unflatten(2, (-1, CHUNK)) for t in (q, k, v, g))
    b = g.cumsum(-1)
    hidden = torch.ones(CHUNK, CHUNK, dtype=torch.bool).triu(1)
    weights = (b[..., :, None] - b[..., None, :]).masked_fill(hidden, -torch.inf).exp()
    own = (k * (b[..., -1:] - b).exp()[..., None]).transpose(-1, -2) @ v
    y = ((q @ k.transpose(-1, -2)) * weights) @ v
    return with_states(y, q * b.exp()[..., None], own, b[..., -1:, None].exp())


def channel_decay(q, k, v, g):
    """g (B, H, T, m), by products of q e^b and k e^-b, which only mild decays allow."""
    q, k, v, g = (t.unflatten(2, (-1, CHUNK)) for t in (q, k, v, g))
    b = g.cumsum(-2)
    queries = q * b.exp()
    own = (k * (b[..., -1:, :] - b).exp()).transpose(-1, -2) @ v
    y = (queries @ (k * (-b).exp()).transpose(-1, -2)).tril() @ v
    return with_states(y, queries, own, b[..., -1, :, None].exp())


def rotated(x):
    angle = torch.arange(x.shape[2])[:, None] * 10000 ** -torch.linspace(0, 1, x.shape[3] // 2)
    a, b, c, s = x[..., 0::2], x[..., 1::2], angle.cos(), angle.sin()
    return torch.stack([a * c - b * s, a * s + b * c], -1).flatten(-2)


class Retention(nn.Module):
    def __init__(self, d=WIDTH, h=4):
        super().__init__()
        self.h, self.q, self.k, self.v = h, linear(d, d), linear(d, d), linear(d, 2 * d)
        self.g, self.out = linear(d, 2 * d), linear(2 * d, d)

    def forward(self, x):
        q, k, v = (heads(f(x), self.h) for f in (self.q, self.k, self.v))
        g = torch.log1p(-2.0 ** (-5 - torch.arange(self.h)))[None, :, None].expand(x.shape[0], self.h, x.shape[1])
        y = scalar_decay(rotated(q), rotated(k) / math.sqrt(q.shape[3]), v, g)
        return self.out(F.silu(self.g(x)) * joined(rms(y)))


class GatedLinearAttention(nn.Module):
    def __init__(self, d=WIDTH, h=4):
        super().__init__()
        self.h, self.q, self.k, self.v = h, linear(d, d // 2), linear(d, d // 2), linear(d, d)
        self.g, self.out, self.down, self.up = linear(d, d), linear(d, d), linear(d, 16), linear(16, d // 2, True)
        self.weight = nn.Parameter(torch.ones(d // h))

    def forward(self, x):
        q, k, v = (heads(f(x), self.h) for f in (self.q, self.k, self.v))
        g = heads(F.logsigmoid(self.up(self.down(x))) / 16, self.h)
        y = channel_decay(q / math.sqrt(q.shape[3]), k, v, g)
        return self.out(F.silu(self.g(x)) * joined(rms(y) * self.weight))


def causal_conv(x, conv):
    return F.silu(conv(x.transpose(1, 2))[..., :x.shape[1]].transpose(1, 2))


class Mamba2(nn.Module):
    def __init__(self, d=WIDTH, n=128, p=64):
        super().__init__()
        self.inner, self.n, self.h = 2 * d, n, 2 * d // p
        channels = self.inner + 2 * n
        self.into, self.out = linear(d, 2 * self.inner + 2 * n + self.h), linear(self.inner, d)
        self.conv = nn.Conv1d(channels, channels, 4, groups=channels, padding=3)
        self.bias = nn.Parameter(torch.full((self.h,), -4.0))
        self.log_a = nn.Parameter(torch.rand(self.h).mul(15).add(1).log())
        self.skip, self.weight = nn.Parameter(torch.ones(self.h)), nn.Parameter(torch.ones(self.inner))

    def forward(self, x):
        z, xbc, dt = self.into(x).split([self.inner, self.inner + 2 * self.n, self.h], -1)
        u, k, q = causal_conv(xbc, self.conv).split([self.inner, self.n, self.n], -1)
        dt, u = F.softplus(dt + self.bias).transpose(1, 2), heads(u, self.h)
        y = scalar_decay(q[:, None], k[:, None], u * dt[..., None], -dt * self.log_a.exp()[:, None])
        y = joined(y + u * self.skip[:, None, None])
        return self.out(rms(y * F.silu(z), 1e-5) * self.weight)


class Mamba(nn.Module):
    def __init__(self, d=WIDTH, n=16):
        super().__init__()
        self.inner, self.n, self.rank = 2 * d, n, d // 16
        self.into, self.out = linear(d, 2 * self.inner), linear(self.inner, d)
        self.conv = nn.Conv1d(self.inner, self.inner, 4, groups=self.inner, padding=3)
        self.x, self.dt = linear(self.inner, self.rank + 2 * n), linear(self.rank, self.inner, True)
        self.log_a = nn.Parameter(torch.arange(1.0, n + 1).log().repeat(self.inner, 1))
        self.skip = nn.Parameter(torch.ones(self.inner))

    def scan(self, x, dt, b, c):
        a, h, rows = -self.log_a.exp(), torch.zeros(x.shape[0], self.inner, self.n), []
        for x_t, dt_t, b_t, c_t in zip(*(t.unbind(1) for t in (x, dt, b, c))):
            h = torch.exp(dt_t[..., None] * a) * h + (dt_t * x_t)[..., None] * b_t[:, None]
            rows.append((h * c_t[:, None]).sum(-1))
        return torch.stack(rows, 1)

    def forward(self, x):
        u, z = self.into(x).chunk(2, -1)
        u = causal_conv(u, self.conv)
        dt, b, c = self.x(u).split([self.rank, self.n, self.n], -1)
        y = self.scan(u, F.softplus(self.dt(dt)), b, c)
        return self.out((y + u * self.skip) * F.silu(z))


class MambaByDoubling(Mamba):
    """16 tokens at a time: fewer, larger ops."""

    def scan(self, x, dt, b, c):
        a, h, rows = -self.log_a.exp(), torch.zeros(x.shape[0], 1, self.inner, self.n), []
        for x_s, dt_s, b_s, c_s in zip(*(t.split(16, 1) for t in (x, dt, b, c))):
            decay, states = torch.exp(dt_s[..., None] * a), (dt_s * x_s)[..., None] * b_s[:, :, None]
            for step in (1, 2, 4, 8):
                states = torch.cat([states[:, :step], states[:, step:] + decay[:, step:] * states[:, :-step]], 1)
                decay = torch.cat([decay[:, :step], decay[:, step:] * decay[:, :-step]], 1)
            states = decay * h + states
            h = states[:, -1:]
            rows.append((states * c_s[:, :, None]).sum(-1))
        return torch.cat(rows, 1)


def before(x):
    return F.pad(x, (0, 0, 1, 0))[:, :-1]


def mixed(x, last, mu):
    return last + mu * (x - last)


class TimeMix(nn.Module):
    def __init__(self, d=WIDTH):
        super().__init__()
        self.mix, self.w, self.u = (nn.Parameter(torch.rand(*s)) for s in ((3, d), (d,), (d,)))
        self.k, self.v, self.r, self.out = (linear(d, d) for _ in range(4))

    def forward(self, x):
        last = before(x)
        k, v, r = (f(mixed(x, last, mu)) for f, mu in zip((self.k, self.v, self.r), self.mix))
        w, u = -self.w.exp(), self.u
        a = b = torch.zeros(x.shape[0], x.shape[2])
        top, rows = torch.full_like(a, -1e38), []
        for k_t, v_t in zip(k.unbind(1), v.unbind(1)):
            now = torch.maximum(top, u + k_t)
            old, new = (top - now).exp(), (u + k_t - now).exp()
            rows.append((old * a + new * v_t) / (old * b + new))
            now = torch.maximum(top + w, k_t)
            old, new = (top + w - now).exp(), (k_t - now).exp()
            a, b, top = old * a + new * v_t, old * b + new, now
        return self.out(torch.sigmoid(r) * torch.stack(rows, 1))


class ChannelMix(nn.Module):
    def __init__(self, d=WIDTH):
        super().__init__()
        self.mix = nn.Parameter(torch.rand(2, d))
        self.k, self.v, self.r = linear(d, 4 * d), linear(4 * d, d), linear(d, d)

    def forward(self, x):
        last = before(x)
        k = F.relu(self.k(mixed(x, last, self.mix[0]))) ** 2
        return torch.sigmoid(self.r(mixed(x, last, self.mix[1]))) * self.v(k)


class MLSTM(nn.Module):
    def __init__(self, d=WIDTH, h=4):
        super().__init__()
        self.h = h
        self.q, self.k, self.v, self.g, self.out = (linear(d, d) for _ in range(5))
        self.i, self.f, self.weight = linear(d, h, True), linear(d, h, True), nn.Parameter(torch.ones(d))

    def forward(self, x):
        q, k, v = (heads(f(x), self.h) for f in (self.q, self.k, self.v))
        i, f = self.i(x).transpose(1, 2), F.logsigmoid(self.f(x) + 4).transpose(1, 2)
        b = f.cumsum(-1)
        m = (b + (i - b).cummax(-1).values).detach()
        g = f + F.pad(m, (1, 0))[..., :-1] - m  # what stands before the first token does not matter
        k = k / math.sqrt(q.shape[3]) * (i - m).exp()[..., None]
        y = scalar_decay(q, k, F.pad(v, (0, 1), value=1.0), g)
        y = y[..., :-1] / torch.maximum(y[..., -1:].abs(), (-m).exp()[..., None])
        return self.out(torch.sigmoid(self.g(x)) * joined(F.layer_norm(y, (y.shape[3],))) * self.weight)


def add_to(variant, leaf, forward_backward):
    def of_layer(make_layer, compiled=False):
        def make():
            x, layer = leaf(BATCH, STEPS, WIDTH), make_layer()
            function = torch.compile(layer) if compiled else layer
            return forward_backward([x, *layer.parameters()], lambda: function(x))

        return make

    for name, layer in (("retention", Retention), ("gated_linear_attention", GatedLinearAttention),
                        ("mamba2", Mamba2), ("mlstm", MLSTM), ("rwkv_channel_mix", ChannelMix)):
        variant(name, of_layer(layer))
        variant(name + "_compiled", of_layer(layer, True))
    # torch.compile would unroll all tokens
    variant("rwkv_time_mix", of_layer(TimeMix))
    variant("mamba", of_layer(Mamba))
    variant("mamba_by_doubling", of_layer(MambaByDoubling))
