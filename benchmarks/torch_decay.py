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

    def __init__(self, by=lambda f: f):
        super().__init__()
        self.chunk = by(self.of_chunk)

    def of_chunk(self, x, dt, b, c, a, h):
        decay, states = torch.exp(dt[..., None] * a), (dt * x)[..., None] * b[:, :, None]
        for step in (1, 2, 4, 8):
            states = torch.cat([states[:, :step], states[:, step:] + decay[:, step:] * states[:, :-step]], 1)
            decay = torch.cat([decay[:, :step], decay[:, step:] * decay[:, :-step]], 1)
        states = decay * h + states
        return (states * c[:, :, None]).sum(-1), states[:, -1:]

    def scan(self, x, dt, b, c):
        a, h, rows = -self.log_a.exp(), torch.zeros(x.shape[0], 1, self.inner, self.n), []
        for parts in zip(*(t.split(16, 1) for t in (x, dt, b, c))):
            y, h = self.chunk(*parts, a, h)
            rows.append(y)
        return torch.cat(rows, 1)


def before(x):
    return F.pad(x, (0, 0, 1, 0))[:, :-1]


def mixed(x, last, mu):
    return last + mu * (x - last)


class TimeMix(nn.Module):
    def __init__(self, by=None, d=WIDTH):
        super().__init__()
        self.size, self.chunk = (32, by(self.of_chunk)) if by else (STEPS, self.of_chunk)
        self.mix, self.w, self.u = (nn.Parameter(torch.rand(*s)) for s in ((3, d), (d,), (d,)))
        self.k, self.v, self.r, self.out = (linear(d, d) for _ in range(4))

    def forward(self, x):
        last = before(x)
        k, v, r = (f(mixed(x, last, mu)) for f, mu in zip((self.k, self.v, self.r), self.mix))
        w = -self.w.exp()
        a, b, top = *torch.zeros(2, x.shape[0], x.shape[2]), torch.full((x.shape[0], x.shape[2]), -1e38)
        rows = []
        for k_s, v_s in zip(k.split(self.size, 1), v.split(self.size, 1)):
            y, a, b, top = self.chunk(k_s, v_s, w, self.u, a, b, top)
            rows.append(y)
        return self.out(torch.sigmoid(r) * torch.cat(rows, 1))

    def of_chunk(self, k, v, w, u, a, b, top):
        rows = []
        for k_t, v_t in zip(k.unbind(1), v.unbind(1)):
            now = torch.maximum(top, u + k_t)
            old, new = (top - now).exp(), (u + k_t - now).exp()
            rows.append((old * a + new * v_t) / (old * b + new))
            now = torch.maximum(top + w, k_t)
            old, new = (top + w - now).exp(), (k_t - now).exp()
            a, b, top = old * a + new * v_t, old * b + new, now
        return torch.stack(rows, 1), a, b, top


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


def solved(n, right):
    """(I - n)^-1 right for strictly lower triangles n."""
    return torch.linalg.solve_triangular(torch.eye(n.shape[-1]) - n, right, upper=False, unitriangular=True)


def delta(q, k, v, beta, g=None):
    """The delta rule by the WY form: q and k (B, H, T, m), v (B, H, T, n), beta and g (B, H, T), the logarithms of the
    decays."""
    q, k, v, beta = (t.unflatten(2, (-1, CHUNK)) for t in (q, k, v, beta))
    kb, weights, reads, keys, end = k * beta[..., None], (q @ k.mT).tril(), q, k, None
    n, kr = -(kb @ k.mT).tril(-1), kb
    if g is not None:
        b = g.unflatten(2, (-1, CHUNK)).cumsum(-1)
        hidden = torch.ones(CHUNK, CHUNK, dtype=torch.bool).triu(1)
        decays = (b[..., :, None] - b[..., None, :]).masked_fill(hidden, -torch.inf).exp()
        grown = b.exp()[..., None]
        weights, n, kr, reads = weights * decays, n * decays, kb * grown, q * grown
        keys, end = k * (b[..., -1:] - b).exp()[..., None], grown[..., -1:, :]
    u, w = solved(n, torch.cat([v * beta[..., None], kr], -1)).split([v.shape[-1], k.shape[-1]], -1)
    s, rows = torch.zeros(*k.shape[:2], k.shape[-1], v.shape[-1]), []
    for i in range(k.shape[2]):
        value = u[:, :, i] - w[:, :, i] @ s
        rows.append(reads[:, :, i] @ s + weights[:, :, i] @ value)
        s = (s if end is None else s * end[:, :, i]) + keys[:, :, i].mT @ value
    return torch.stack(rows, 2).flatten(2, 3)


def generalized_delta(q, k, v, a, b, g, chunk=32):
    """S_t = diag(e^g_t) S_{t-1} + b_t (a_t^T S_{t-1}) + k_t v_t^T, by e^(sums of g): RWKV-7's allow that."""
    q, k, v, a, b, g = (t.unflatten(2, (-1, chunk)) for t in (q, k, v, a, b, g))
    sums = g.cumsum(-2)
    up, down = sums.exp(), (-sums).exp()
    q, a, k, b = q * up, a * (sums - g).exp(), k * down, b * down
    right = torch.cat([a, (a @ k.mT).tril(-1) @ v], -1)
    w, u = solved((a @ b.mT).tril(-1), right).split([a.shape[-1], v.shape[-1]], -1)
    by_b, own = (q @ b.mT).tril(), (q @ k.mT).tril() @ v
    s, rows = torch.zeros(*k.shape[:2], k.shape[-1], v.shape[-1]), []
    for i in range(k.shape[2]):
        value = w[:, :, i] @ s + u[:, :, i]
        rows.append(q[:, :, i] @ s + by_b[:, :, i] @ value + own[:, :, i])
        s = up[:, :, i, -1, :, None] * (s + b[:, :, i].mT @ value + k[:, :, i].mT @ v[:, :, i])
    return torch.stack(rows, 2).flatten(2, 3)


def unit(x, eps=1e-6):
    return x * (x.square().sum(-1, keepdim=True) + eps).rsqrt()


class DeltaNet(nn.Module):
    def __init__(self, gated=False, d=WIDTH, h=4):
        super().__init__()
        self.h, self.gated = h, gated
        self.q, self.k, self.v, self.out = (linear(d, d) for _ in range(4))
        self.b, self.weight = linear(d, h), nn.Parameter(torch.ones(d // h))
        self.filters = nn.ModuleList(nn.Conv1d(d, d, 4, groups=d, bias=False) for _ in range(3))
        if gated:
            self.a, self.g = linear(d, h), linear(d, d)
            self.a_log, self.dt_bias = nn.Parameter(torch.rand(h)), nn.Parameter(torch.full((h,), -4.0))

    def forward(self, x):
        q, k, v = (heads(F.silu(f(F.pad(p(x).transpose(1, 2), (3, 0))).transpose(1, 2)), self.h)
                   for p, f in zip((self.q, self.k, self.v), self.filters))
        beta, g = torch.sigmoid(self.b(x)).transpose(1, 2), None
        if self.gated:
            g = (-self.a_log.exp() * F.softplus(self.a(x) + self.dt_bias)).transpose(1, 2)
        y = joined(rms(delta(unit(q) / math.sqrt(q.shape[3]), unit(k), v, beta, g), 1e-5) * self.weight)
        return self.out(F.silu(self.g(x)) * y if self.gated else y)


class GatedDeltaNet(DeltaNet):
    def __init__(self):
        super().__init__(gated=True)


class Rwkv7TimeMix(nn.Module):
    def __init__(self, d=WIDTH, h=4):
        super().__init__()
        self.h = h
        self.r, self.k, self.v, self.out = (linear(d, d) for _ in range(4))
        self.mix, (self.w0, self.a0) = nn.Parameter(torch.rand(6, d)), (nn.Parameter(torch.zeros(d)) for _ in range(2))
        self.w1, self.a1, self.g1 = (nn.Parameter(torch.randn(d, r) / 16) for r in (32, 32, 64))
        self.w2, self.a2, self.g2 = (nn.Parameter(torch.randn(r, d) / 16) for r in (32, 32, 64))
        self.k_k, self.k_a = nn.Parameter(torch.ones(d)), nn.Parameter(torch.ones(d))
        self.r_k, self.norm = nn.Parameter(torch.zeros(h, d // h)), nn.GroupNorm(h, d, 64e-5)

    def forward(self, x):
        last = before(x)
        r, w, k, v, a, g = (mixed(x, last, mix) for mix in self.mix)
        r, k, v = self.r(r), self.k(k), self.v(v)
        decay = -math.exp(-0.5) * torch.sigmoid(self.w0 + torch.tanh(w @ self.w1) @ self.w2)
        a, g = torch.sigmoid(self.a0 + a @ self.a1 @ self.a2), torch.sigmoid(g @ self.g1) @ self.g2
        removed = unit(heads(k * self.k_k, self.h), 1e-12)
        k = k * (1 + (a - 1) * self.k_a)
        r, k, v, a, decay = (heads(t, self.h) for t in (r, k, v, a, decay))
        o = joined(generalized_delta(r, k, v, removed, -removed * a, decay))
        o = self.norm(o.flatten(0, 1)).view_as(x)
        return self.out(g * (o + joined((r * k * self.r_k[:, None]).sum(-1, keepdim=True) * v)))


def add_to(variant, leaf, forward_backward):
    def of_layer(make_layer, compiled=False):
        def make():
            x, layer = leaf(BATCH, STEPS, WIDTH), make_layer()
            function = torch.compile(layer) if compiled else layer
            return forward_backward([x, *layer.parameters()], lambda: function(x))

        return make

    for name, layer in (("retention", Retention), ("gated_linear_attention", GatedLinearAttention),
                        ("mamba2", Mamba2), ("mlstm", MLSTM), ("rwkv_channel_mix", ChannelMix),
                        ("delta_net", DeltaNet), ("gated_delta_net", GatedDeltaNet),
                        ("rwkv7_time_mix", Rwkv7TimeMix)):
        variant(name, of_layer(layer))
        variant(name + "_compiled", of_layer(layer, True))
    # torch.compile would unroll all tokens: it takes some at a time
    variant("rwkv_time_mix", of_layer(TimeMix))
    variant("rwkv_time_mix_compiled", of_layer(lambda: TimeMix(torch.compile)))
    variant("mamba", of_layer(Mamba))
    variant("mamba_by_doubling", of_layer(MambaByDoubling))
    variant("mamba_compiled", of_layer(lambda: MambaByDoubling(torch.compile)))
