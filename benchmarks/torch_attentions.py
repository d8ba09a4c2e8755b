"""PyTorch's side of benchmarks/attentions.cpp, for torch_peer.py: banded, chunked, sorted or by whole matrices, as the
papers' programs and the known packages have them; flash attention where scores take no more than a mask."""
import math

import torch
import torch.nn as nn
import torch.nn.functional as F

from torch_decay import BATCH, STEPS, WIDTH, heads, joined, rms

HEADS, FEW, HEAD = 4, 2, WIDTH // 4


class Attention(nn.Module):
    """Multi-head, around attend(q, k, v) of (B, H, T, dh)."""

    def __init__(self):
        super().__init__()
        self.into, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, x):
        q, k, v = (heads(t, HEADS) for t in self.into(x).chunk(3, -1))
        return self.out(self.joined(joined(self.attend(q, k, v))))

    def joined(self, y):
        return y

    def attend(self, q, k, v):
        return F.scaled_dot_product_attention(q, k, v, is_causal=True)


# ---- some of the keys ----

def blocks_around(x, w, before, after):
    """(B, H, T, d) -> (B, H, T / w, w (before + 1 + after), d): each block of w keys with its neighbours."""
    x = F.pad(x, (0, 0, before * w, after * w))
    return x.unfold(2, w * (before + 1 + after), w).transpose(-1, -2)


def band_mask(w, before, after, sees):
    """(T / w, w, w (before + 1 + after)): what a query of each block may see, by the distance i - j."""
    i, j = torch.arange(STEPS).view(-1, w, 1), torch.arange(-w * before, w * (1 + after))
    j = j + torch.arange(0, STEPS, w)[:, None, None]
    return sees(i - j) & (j >= 0) & (j < STEPS)


class Local(Attention):
    W = 64

    def __init__(self):
        super().__init__()
        self.mask = band_mask(self.W, 1, 1, lambda distance: distance.abs() <= self.W)

    def attend(self, q, k, v):
        q = q.unflatten(2, (-1, self.W))
        k, v = blocks_around(k, self.W, 1, 1), blocks_around(v, self.W, 1, 1)
        return F.scaled_dot_product_attention(q, k, v, attn_mask=self.mask).flatten(2, 3)


class Longformer(Local):
    """One global token, the first: its key beside those of the window, its query by projections of its own."""

    def __init__(self):
        super().__init__()
        self.global_into = nn.Linear(WIDTH, 3 * WIDTH)
        at_first = torch.arange(STEPS // self.W)[:, None, None] * self.W + torch.arange(-self.W, 2 * self.W) == 0
        self.mask = torch.cat([torch.ones(STEPS // self.W, self.W, 1, dtype=torch.bool), self.mask & ~at_first], -1)

    def forward(self, x):
        q, k, v = (heads(t, HEADS) for t in self.into(x).chunk(3, -1))
        first = [t[:, :, None, :1].expand(-1, -1, STEPS // self.W, -1, -1) for t in (k, v)]
        k, v = (torch.cat([f, blocks_around(t, self.W, 1, 1)], 3) for f, t in zip(first, (k, v)))
        y = F.scaled_dot_product_attention(q.unflatten(2, (-1, self.W)), k, v, attn_mask=self.mask).flatten(2, 3)
        weight, bias = self.global_into.weight.split([WIDTH, 2 * WIDTH]), self.global_into.bias.split([WIDTH, 2 * WIDTH])
        own = heads(F.linear(x[:, :1], weight[0], bias[0]), HEADS)
        keys, values = (heads(t, HEADS) for t in F.linear(x, weight[1], bias[1]).chunk(2, -1))
        own = F.scaled_dot_product_attention(own, keys, values)
        return self.out(joined(torch.cat([own, y[:, :, 1:]], 2)))


class Atrous(Attention):
    L = 64

    def attend(self, q, k, v):
        q, k, v = (t.unflatten(2, (-1, self.L)).transpose(2, 3) for t in (q, k, v))
        return F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(2, 3).flatten(2, 3)


class Strided(Attention):
    """The 63 keys before, and every 64th, in one softmax: of two parts, the scores side by side."""
    L = 64

    def __init__(self):
        super().__init__()
        self.near = ~band_mask(self.L, 1, 0, lambda distance: (distance >= 0) & (distance < self.L))
        self.far = torch.ones(STEPS // self.L, STEPS // self.L, dtype=torch.bool).triu()  # its own key is near

    def attend(self, q, k, v):
        q, blocks = q.unflatten(2, (-1, self.L)) / math.sqrt(HEAD), STEPS // self.L
        near_k, near_v = blocks_around(k, self.L, 1, 0), blocks_around(v, self.L, 1, 0)
        far_k, far_v = (t.unflatten(2, (-1, self.L)).transpose(2, 3) for t in (k, v))  # (B, H, L, blocks, dh)
        near = (q @ near_k.mT).masked_fill(self.near, -torch.inf)
        far = (q.transpose(2, 3) @ far_k.mT).masked_fill(self.far, -torch.inf).transpose(2, 3)
        near, far = torch.cat([near, far], -1).softmax(-1).split([2 * self.L, blocks], -1)
        return (near @ near_v + (far.transpose(2, 3) @ far_v).transpose(2, 3)).flatten(2, 3)


class Diag(Attention):
    def attend(self, q, k, v):
        q, k, v = (t.unflatten(2, (-1, 64)) for t in (q, k, v))
        return F.scaled_dot_product_attention(q, k, v).flatten(2, 3)


class Lsh(nn.Module):
    """As reformer_pytorch: all rounds sorted in one, a chunk sees itself and the one before it; no duplicate counts
    twice."""

    def __init__(self, rounds=4, buckets=32, chunk=64):
        super().__init__()
        self.qk, self.v, self.out = (nn.Linear(WIDTH, WIDTH) for _ in range(3))
        self.rounds, self.buckets, self.chunk = rounds, buckets, chunk

    def forward(self, x):
        qk, v = (heads(f(x), HEADS).flatten(0, 1) for f in (self.qk, self.v))
        n, t, d = qk.shape
        with torch.no_grad():
            rotated = torch.einsum("ntd,drb->nrtb", qk, torch.randn(d, self.rounds, self.buckets // 2))
            bucket = torch.cat([rotated, -rotated], -1).argmax(-1)
            key = bucket * t + torch.arange(t)
            order = key.argsort(-1)  # (n, rounds, t)
            undo = order.argsort(-1)
            # how often a query meets a key: both lie in the same chunk, or one behind, in so many rounds
            place = undo // self.chunk
        at = order.flatten(1)[..., None].expand(-1, -1, d)
        chunks = self.rounds * t // self.chunk
        q = qk.gather(1, at).view(n, self.rounds, -1, self.chunk, d)
        k, values = F.normalize(q, dim=-1), v.gather(1, at).view(n, self.rounds, -1, self.chunk, d)
        back = lambda y: torch.cat([y.roll(1, 2), y], 3)
        scores = q @ back(k).mT / math.sqrt(d)
        i = order.view(n, self.rounds, -1, self.chunk)
        j = back(i)
        scores = scores.masked_fill(i[..., None] == j[..., None, :], -5e4)
        with torch.no_grad():
            mine = place.gather(2, order).view(n, self.rounds, -1, self.chunk)
            places = place.transpose(1, 2)  # (n, t, rounds)
            all_i = places.gather(1, i.flatten(1)[..., None].expand(-1, -1, self.rounds)).view(*i.shape, self.rounds)
            all_j = back(all_i)
            gap = (all_i[..., :, None, :] - all_j[..., None, :, :]) % (t // self.chunk)
            count = (gap <= 1).sum(-1)
        scores = scores - count.clamp(min=1).log()
        total = scores.logsumexp(-1, keepdim=True)
        y = (scores - total).exp() @ back(values)
        y = y.flatten(2, 3).gather(2, undo[..., None].expand(-1, -1, -1, d))
        weights = total.flatten(2).gather(2, undo).softmax(1)
        y = (y * weights[..., None]).sum(1)
        return self.out(joined(y.unflatten(0, (-1, HEADS))))


# ---- mixtures of keys, and scores without them ----

class Linformer(Attention):
    def __init__(self, rank=256):
        super().__init__()
        self.e = nn.Parameter(torch.randn(rank, STEPS) / math.sqrt(STEPS))

    def attend(self, q, k, v):
        k, v = (F.linear(t.mT, self.e).mT for t in (k, v))  # one product for all heads
        return F.scaled_dot_product_attention(q, k, v)


class Nystrom(Attention):
    def attend(self, q, k, v, landmarks=64, iterations=6):
        q = q / math.sqrt(HEAD)
        few_q, few_k = (t.unflatten(2, (landmarks, -1)).mean(3) for t in (q, k))
        a, eye = (few_q @ few_k.mT).softmax(-1), torch.eye(landmarks)
        z = a.mT / (a.abs().sum(-1).amax((-1), keepdim=True)[..., None] * a.abs().sum(-2).amax(-1, keepdim=True)[..., None])
        for _ in range(iterations):
            az = a @ z
            z = 0.25 * z @ (13 * eye - az @ (15 * eye - az @ (7 * eye - az)))
        return ((q @ few_k.mT).softmax(-1) @ z) @ F.scaled_dot_product_attention(few_q, k, v, scale=1.0)


class Synthesizer(nn.Module):
    def __init__(self):
        super().__init__()
        self.v, self.hidden, self.out = (nn.Linear(WIDTH, WIDTH) for _ in range(3))
        self.weight = nn.Parameter(torch.randn(HEADS, STEPS, HEAD) / 8)
        self.bias = nn.Parameter(torch.zeros(HEADS, STEPS))

    def forward(self, x):
        hidden, v = heads(F.relu(self.hidden(x)), HEADS), heads(self.v(x), HEADS)
        scores = hidden @ self.weight.mT + self.bias[:, None]
        return self.out(joined(scores.softmax(-1) @ v))


# ---- sums over the keys ----

def chunked(q, k, v, chunk=64):
    """sum over j <= i of (q_i . k_j) v_j."""
    q, k, v = (t.unflatten(2, (-1, chunk)) for t in (q, k, v))
    before = F.pad((k.mT @ v).cumsum(2)[:, :, :-1], (0, 0, 0, 0, 1, 0))
    return (q @ before + (q @ k.mT).tril() @ v).flatten(2, 3)


class Linear(Attention):
    def attend(self, q, k, v):
        q, k = F.elu(q) + 1, F.elu(k) + 1
        return chunked(q, k, v) / ((q * k.cumsum(2)).sum(-1, keepdim=True) + 1e-6)


class Efficient(Attention):
    def attend(self, q, k, v):
        return q.softmax(-1) @ (k.softmax(2).mT @ v)


class Performer(Attention):
    def __init__(self, m=round(HEAD * math.log(HEAD))):
        super().__init__()
        self.w = torch.randn(m, HEAD)

    def features(self, x, along):
        x = x * HEAD ** -0.25
        z = x @ self.w.T
        z = z - x.square().sum(-1, keepdim=True) / 2
        return ((z - z.amax(along, keepdim=True).detach()).exp() + 1e-4) / math.sqrt(self.w.shape[0])

    def attend(self, q, k, v):
        q, k = self.features(q, -1), self.features(k, (-1, -2))
        return chunked(q, k, v) / (q * k.cumsum(2)).sum(-1, keepdim=True)


class Norm(Attention):
    def attend(self, q, k, v):
        return chunked(F.elu(q) + 1, F.elu(k) + 1, v)

    def joined(self, y):
        return rms(y)


# ---- gated ----

class Gated(nn.Module):
    def __init__(self, maps, e=2 * WIDTH, s=128):
        super().__init__()
        self.sizes = [e, e, s]
        self.into, self.out = nn.Linear(WIDTH, 2 * e + s, bias=False), nn.Linear(e, WIDTH, bias=False)
        self.gamma, self.beta = nn.Parameter(torch.ones(maps, s)), nn.Parameter(torch.full((maps, s), s**-0.25))

    def forward(self, x):
        u, v, z = F.silu(self.into(x)).split(self.sizes, -1)
        return self.out(u * self.attend((z[..., None, :] * self.gamma + self.beta).unbind(-2), v))


def by_distance(table, length):
    """(.., 2 length - 1) of the distances i - j, ascending -> (.., length, length), by the shift of Transformer-XL."""
    n = table.shape[-1]
    return table.flip(-1).unfold(-1, length, 1).flip(-2)


class GatedUnit(Gated):
    """The rotary bias of more than 512 positions."""

    def __init__(self):
        super().__init__(2)
        self.a, self.b = (nn.Parameter(torch.randn(128) / 50) for _ in range(2))
        angle = torch.arange(STEPS)[:, None] * 10000 ** (-torch.arange(64) / 64)
        self.cos, self.sin = angle.cos(), angle.sin()
        self.hidden = torch.ones(STEPS, STEPS, dtype=torch.bool).triu(1)

    def turned(self, a):
        a, b = a[:64], a[64:]
        return torch.cat([a * self.cos - b * self.sin, a * self.sin + b * self.cos], -1)

    def attend(self, maps, v):
        q, k = maps
        scores = q @ k.mT / math.sqrt(128) + self.turned(self.a) @ self.turned(self.b).T
        return (F.relu(scores).square() / STEPS).masked_fill(self.hidden, 0) @ v


class Flash(Gated):
    C = 256

    def __init__(self):
        super().__init__(4)
        self.table = nn.Parameter(torch.randn(2 * self.C - 1) / 50)
        self.hidden = torch.ones(self.C, self.C, dtype=torch.bool).triu(1)
        self.index = torch.arange(self.C)[:, None] - torch.arange(self.C) + self.C - 1

    def attend(self, maps, v):
        q, k, ql, kl, v = (t.unflatten(1, (-1, self.C)) for t in (*maps, v))
        scores = q @ k.mT / math.sqrt(128) + self.table[self.index]
        local = (F.relu(scores).square() / self.C).masked_fill(self.hidden, 0) @ v
        before = F.pad((kl.mT @ v / self.C).cumsum(1)[:, :-1], (0, 0, 0, 0, 1, 0))
        return (local + ql @ before).flatten(1, 2)


# ---- positions ----

class Alibi(Attention):
    def __init__(self):
        super().__init__()
        distance = torch.arange(STEPS)[:, None] - torch.arange(STEPS)
        slopes = 2.0 ** (-8 * torch.arange(1, HEADS + 1) / HEADS)
        self.bias = (-slopes[:, None, None] * distance).masked_fill(distance < 0, -torch.inf)

    def attend(self, q, k, v):
        return F.scaled_dot_product_attention(q, k, v, attn_mask=self.bias)


class T5(Attention):
    def __init__(self):
        super().__init__()
        self.table = nn.Parameter(torch.randn(HEADS, 32) / 50)
        distance = torch.arange(STEPS).clamp(min=1).double()
        far = 16 + ((distance / 16).log() / math.log(8) * 16).long()
        self.buckets = torch.where(distance < 16, torch.arange(STEPS), far.clamp(max=31))
        self.hidden = torch.ones(STEPS, STEPS, dtype=torch.bool).triu(1)
        self.distance = (torch.arange(STEPS)[:, None] - torch.arange(STEPS)).clamp(min=0)
        self.index = self.buckets[self.distance]

    def attend(self, q, k, v):
        bias = self.table[:, self.index].masked_fill(self.hidden, -torch.inf)
        return F.scaled_dot_product_attention(q, k, v, attn_mask=bias)


class XPos(Attention):
    def __init__(self):
        super().__init__()
        t, i = torch.arange(STEPS)[:, None], torch.arange(HEAD // 2)
        angle, power = t * 10000 ** (-2 * i / HEAD), t / 512
        scale = ((2 * i + 0.4 * HEAD) / (1.4 * HEAD)) ** power
        self.q, self.k = (angle.cos() * scale, angle.sin() * scale), (angle.cos() / scale, angle.sin() / scale)

    def turned(self, x, by):
        a, b = x[..., 0::2], x[..., 1::2]
        return torch.stack([a * by[0] - b * by[1], a * by[1] + b * by[0]], -1).flatten(-2)

    def attend(self, q, k, v):
        return F.scaled_dot_product_attention(self.turned(q, self.q), self.turned(k, self.k), v, is_causal=True)


class Shaw(Attention):
    """Products of queries with the table, gathered by distance; the weights are summed by distance for the values."""
    K = 16

    def __init__(self):
        super().__init__()
        self.keys, self.values = (nn.Parameter(torch.randn(2 * self.K + 1, HEAD) / 8) for _ in range(2))
        distance = torch.arange(STEPS)[:, None] - torch.arange(STEPS)
        self.index, self.hidden = distance.clamp(-self.K, self.K) + self.K, distance < 0

    def attend(self, q, k, v):
        index = self.index.expand(*q.shape[:3], -1)
        scores = (q @ k.mT + (q @ self.keys.T).gather(-1, index)) / math.sqrt(HEAD)
        p = scores.masked_fill(self.hidden, -torch.inf).softmax(-1)
        by_row = torch.zeros(*q.shape[:3], 2 * self.K + 1).scatter_add(-1, index, p)
        return p @ v + by_row @ self.values


class TransformerXL(Attention):
    def __init__(self):
        super().__init__()
        self.u, self.v = (nn.Parameter(torch.randn(HEADS, 1, HEAD) / 50) for _ in range(2))
        self.proj = nn.Linear(WIDTH, WIDTH, bias=False)
        angle = torch.arange(STEPS - 1, -1, -1)[:, None] * 10000 ** (-torch.arange(WIDTH // 2) / (WIDTH // 2))
        self.rows = torch.cat([angle.sin(), angle.cos()], -1)
        self.hidden = torch.ones(STEPS, STEPS, dtype=torch.bool).triu(1)

    def attend(self, q, k, v):
        r = self.proj(self.rows).unflatten(1, (HEADS, -1)).transpose(0, 1)
        far = (q + self.v) @ r.mT  # column j: the distance T - 1 - j; what wraps around is hidden
        far = F.pad(far, (1, 0)).view(*far.shape[:2], STEPS + 1, STEPS)[:, :, 1:]
        scores = ((q + self.u) @ k.mT + far) / math.sqrt(HEAD)
        return scores.masked_fill(self.hidden, -torch.inf).softmax(-1) @ v


class Deberta(Attention):
    K = 256

    def __init__(self):
        super().__init__()
        self.table = nn.Parameter(torch.randn(2 * self.K, WIDTH) / 50)
        self.query, self.key = (nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(2))
        distance = torch.arange(STEPS)[:, None] - torch.arange(STEPS)
        self.index = (distance + self.K).clamp(0, 2 * self.K - 1)

    def attend(self, q, k, v):
        kr, qr = (f(self.table).unflatten(1, (HEADS, -1)).transpose(0, 1) for f in (self.key, self.query))
        index = self.index.expand(*q.shape[:3], -1)
        scores = q @ k.mT + (q @ kr.mT).gather(-1, index) + (k @ qr.mT).gather(-1, index).mT
        return (scores / math.sqrt(3 * HEAD)).softmax(-1) @ v


class Cape(nn.Module):
    def __init__(self):
        super().__init__()
        self.rates = 10000 ** (-torch.arange(0, WIDTH, 2) / WIDTH)

    def forward(self, x):
        b, t = x.shape[:2]
        p = torch.arange(t) + torch.empty(b, 1).uniform_(-5, 5) + torch.empty(b, t).uniform_(-0.5, 0.5)
        p = p * torch.empty(b, 1).uniform_(-math.log(1.03), math.log(1.03)).exp()
        angle = p[..., None] * self.rates
        return x + torch.stack([angle.sin(), angle.cos()], -1).flatten(2)


class Floater(nn.Module):
    def __init__(self, compiled=lambda f: f):
        super().__init__()
        self.initial = nn.Parameter(torch.zeros(WIDTH))
        self.dynamics = nn.Sequential(nn.Linear(WIDTH + 1, WIDTH), nn.Tanh(), nn.Linear(WIDTH, WIDTH))
        self.advance = compiled(self.runge_kutta)

    def slope(self, p, t):
        return self.dynamics(torch.cat([p, t], 1))

    def runge_kutta(self, p, t, h):
        a = self.slope(p, t)
        b = self.slope(p + a * (h / 2), t + h / 2)
        c = self.slope(p + b * (h / 2), t + h / 2)
        d = self.slope(p + c * h, t + h)
        return p + (a + 2 * b + 2 * c + d) * (h / 6)

    def forward(self, x, step=0.01, substeps=5):
        p, h = self.initial[None], step / substeps
        rows, times = [p], h * torch.arange(substeps * (x.shape[1] - 1)).view(-1, 1, 1)
        for i, t in enumerate(times.unbind()):
            p = self.advance(p, t, h)
            if (i + 1) % substeps == 0:
                rows.append(p)
        return x + torch.cat(rows)


class ComplexEmbedding(nn.Module):
    def __init__(self, tokens=256):
        super().__init__()
        self.amplitude, self.frequency, self.phase = (nn.Embedding(tokens, WIDTH) for _ in range(3))

    def forward(self, tokens):
        angle = self.frequency(tokens) * torch.arange(tokens.shape[1])[:, None] + self.phase(tokens)
        r = self.amplitude(tokens)
        return torch.stack([r * angle.cos(), r * angle.sin()], -1)


def add_to(variant, leaf, forward_backward):
    def of_layer(make_layer, batch, compiled=False):
        def make():
            x, layer = leaf(batch, STEPS, WIDTH), make_layer()
            function = torch.compile(layer) if compiled else layer
            return forward_backward([x, *layer.parameters()], lambda: function(x))

        return make

    for name, layer, batch in (
            ("local_attention", Local, BATCH), ("longformer", Longformer, BATCH), ("atrous_attention", Atrous, BATCH),
            ("strided_attention", Strided, BATCH), ("diag_attention", Diag, BATCH), ("lsh_attention", Lsh, BATCH),
            ("linformer", Linformer, BATCH), ("nystrom", Nystrom, BATCH), ("synthesizer", Synthesizer, FEW),
            ("linear_attention", Linear, BATCH), ("efficient_attention", Efficient, BATCH),
            ("performer", Performer, BATCH), ("norm_attention", Norm, BATCH),
            ("gated_attention_unit", GatedUnit, FEW), ("mixed_chunk_attention", Flash, BATCH), ("alibi", Alibi, FEW),
            ("t5_bias", T5, FEW), ("xpos", XPos, FEW), ("shaw", Shaw, FEW), ("transformer_xl", TransformerXL, FEW),
            ("deberta", Deberta, FEW), ("cape", Cape, BATCH)):
        variant(name, of_layer(layer, batch))
        variant(name + "_compiled", of_layer(layer, batch, True))
    variant("floater", of_layer(Floater, BATCH))
    # torch.compile would unroll ten thousand steps: it takes one at a time
    variant("floater_compiled", of_layer(lambda: Floater(torch.compile), BATCH))

    def complex_embedding(compiled=False):
        layer, tokens = ComplexEmbedding(), torch.randint(0, 256, (BATCH, STEPS))
        function = torch.compile(layer) if compiled else layer
        return forward_backward(list(layer.parameters()), lambda: function(tokens))

    variant("complex_embedding", complex_embedding)
    variant("complex_embedding_compiled", lambda: complex_embedding(True))
