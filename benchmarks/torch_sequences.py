"""PyTorch's side of benchmarks/sequences.cpp, for torch_peer.py."""
import math

import torch
import torch.nn as nn
import torch.nn.functional as F

BATCH, STEPS, WIDTH = 8, 2048, 256


def scan_loop(a, b, dim=1):
    h = []
    for factor, term in zip(a.expand(b.shape).unbind(dim), b.unbind(dim)):
        h.append(factor * h[-1] + term if h else term)
    return torch.stack(h, dim)


def scan_by_doubling(a, b):
    """Along dimension 1: each pass joins what lies 1, 2, 4, .. steps apart."""
    a = a.expand(b.shape)
    step = 1
    while step < b.shape[1]:
        b = torch.cat([b[:, :step], a[:, step:] * b[:, :-step] + b[:, step:]], 1)
        a = torch.cat([a[:, :step], a[:, step:] * a[:, :-step]], 1)
        step *= 2
    return b


class S4(torch.nn.Module):
    """The kernel by resolvents, all poles at all frequencies in one tensor, as the authors' plain version has it."""

    def __init__(self, width=WIDTH, state=64, length=STEPS):
        super().__init__()
        self.length, half = length, state // 2
        real = lambda *shape: torch.nn.Parameter(torch.randn(*shape))
        self.log_dt = torch.nn.Parameter(torch.rand(width) * 4.6 - 6.9)
        self.A_real, self.A_imag = torch.nn.Parameter(torch.full((width, half), -0.69)), real(width, half)
        self.P, self.B, self.C, self.D = real(width, half, 2), real(width, half, 2), real(width, half, 2), real(width)
        self.out_proj = torch.nn.Linear(width, 2 * width)

    def kernel(self):
        dt = self.log_dt.exp()[:, None]
        poles = torch.complex(-self.A_real.exp(), self.A_imag)
        P, B, C = (torch.view_as_complex(p) for p in (self.P, self.B, self.C))
        z = torch.exp(-2j * torch.pi * torch.arange(self.length // 2 + 1) / self.length)
        # (1 + z) / (2 (1 - z) - dt poles (1 + z)), and the same of the conjugate poles
        top, bottom = dt[..., None] * (1 + z), 2 * (1 - z)
        r, rc = (top / (bottom - top * p[..., None]) for p in (poles, poles.conj()))

        def k(v):
            return torch.einsum("dn,dnl->dl", v, r) + torch.einsum("dn,dnl->dl", v.conj(), rc)
        k00, k01, k10, k11 = k(C * B), k(C * P), k(P.conj() * B), k(P.conj() * P)
        # 2 / (1 + z) at z = -1 is left out: what it multiplies is 0
        factor = torch.where((1 + z).abs() > 1e-6, 2 / (1 + z), 0)
        return torch.fft.irfft(factor * (k00 - k01 * k10 / (1 + k11)), n=self.length)

    def forward(self, x):
        n = 2 * self.length
        u = x.transpose(1, 2)
        y = torch.fft.irfft(torch.fft.rfft(u, n=n) * torch.fft.rfft(self.kernel(), n=n), n=n)[..., :self.length]
        y = torch.nn.functional.gelu(y.transpose(1, 2) + x * self.D)
        return torch.nn.functional.glu(self.out_proj(y), -1)


def minimal(lstm):
    """In logarithms, as in the paper's own listing: h = e^(a* + logcumsumexp(log b - a*)), a* = cumsum(log a)."""
    def make():
        into = nn.Linear(WIDTH, (3 if lstm else 2) * WIDTH)

        def log_scan(x):
            *gates, c = into(x).chunk(3 if lstm else 2, -1)
            if lstm:
                difference = F.softplus(-gates[0]) - F.softplus(-gates[1])
                log_a, log_z = -F.softplus(difference), -F.softplus(-difference)
            else:
                log_a, log_z = -F.softplus(gates[0]), -F.softplus(-gates[0])
            log_b = log_z + torch.where(c >= 0, (F.relu(c) + 0.5).log(), -F.softplus(-c))
            total = log_a.cumsum(1)
            return (total + (log_b - total).logcumsumexp(1)).exp()

        return into, torch.compile(log_scan)

    return make


def lru():
    n = WIDTH
    p = nn.ParameterDict({
        "nu": torch.log(-0.5 * torch.log(torch.rand(n) * 0.99 + 0.005)), "theta": torch.log(torch.rand(n) * 6.28),
        "gamma": torch.zeros(n), "B": torch.randn(n, WIDTH, 2) / math.sqrt(2 * WIDTH),
        "C": torch.randn(WIDTH, n, 2) / math.sqrt(n), "D": torch.randn(WIDTH)})

    def forward(u):
        lam = torch.exp(torch.complex(-torch.exp(p["nu"]), torch.exp(p["theta"])))
        into = torch.view_as_complex(p["B"]) * torch.exp(p["gamma"])[:, None]
        h = scan_by_doubling(lam, u.to(torch.complex64) @ into.T)
        return (h @ torch.view_as_complex(p["C"]).T).real + p["D"] * u

    return p, forward


def s4d():
    """The kernel by a Vandermonde product and the convolution by FFT, as in the authors' minimal version."""
    half = 32
    p = nn.ParameterDict({
        "dt": torch.rand(WIDTH) * math.log(100) + math.log(1e-3), "A_real": torch.full((WIDTH, half), math.log(0.5)),
        "A_imag": (math.pi * torch.arange(half)).repeat(WIDTH, 1), "C": torch.randn(WIDTH, half, 2), "D": torch.randn(WIDTH)})
    out = nn.Linear(WIDTH, 2 * WIDTH)

    def forward(u):
        a = torch.complex(-torch.exp(p["A_real"]), p["A_imag"])
        step = a * torch.exp(p["dt"])[:, None]
        c = torch.view_as_complex(p["C"]) * (torch.exp(step) - 1) / a
        k = 2 * torch.einsum("hn,hnl->hl", c, torch.exp(step[..., None] * torch.arange(STEPS))).real
        x = u.transpose(1, 2)
        y = torch.fft.irfft(torch.fft.rfft(x, 2 * STEPS) * torch.fft.rfft(k, 2 * STEPS), 2 * STEPS)[..., :STEPS]
        return F.glu(out(F.gelu((y + x * p["D"][:, None]).transpose(1, 2))))

    return nn.ModuleList([p, out]), forward


def add_to(variant, leaf, forward_backward):
    def scan(a_shape, b_shape, function):
        def make():
            a = torch.sigmoid(torch.randn(a_shape)).requires_grad_()
            b = leaf(*b_shape)
            return forward_backward([a, b], lambda: function(a, b))

        return make

    def scan_pairs(function):
        def make():
            a = torch.polar(torch.full((WIDTH // 2,), 0.9), torch.randn(WIDTH // 2)).requires_grad_()
            b = torch.randn(BATCH, STEPS, WIDTH // 2, dtype=torch.complex64).requires_grad_()
            return forward_backward([a, b], lambda: function(a, b))

        return make

    rows = (BATCH, STEPS, WIDTH)
    variant("scan", scan(rows, rows, scan_loop))
    variant("scan_by_doubling", scan(rows, rows, torch.compile(scan_by_doubling)))
    variant("scan_in_ops", scan(rows, rows, scan_loop))
    variant("scan_constant", scan((WIDTH,), rows, scan_loop))
    variant("scan_last_dim", scan((BATCH, WIDTH, STEPS), (BATCH, WIDTH, STEPS), lambda a, b: scan_loop(a, b, 2)))
    variant("scan_pairs", scan_pairs(scan_loop))
    variant("scan_pairs_by_doubling", scan_pairs(scan_by_doubling))  # torch.compile leaves complex numbers alone

    def s4(compiled):
        def make():
            layer, x = S4(), leaf(BATCH, STEPS, WIDTH)
            run = torch.compile(layer) if compiled else layer
            return forward_backward([x, *layer.parameters()], lambda: run(x))

        return make

    variant("s4", s4(False))
    variant("s4_compiled", s4(True))

    def of_one(function):
        def make():
            x = leaf(*rows)
            return forward_backward([x], lambda: function(x))

        return make

    variant("cumprod", of_one(lambda x: x.cumprod(1)))
    variant("logcumsumexp", of_one(lambda x: x.logcumsumexp(1)))
    variant("cummax", of_one(lambda x: x.cummax(1).values))

    def layer(parts, compiled=False):
        def make():
            m, forward = parts()
            x = leaf(*rows)
            if compiled:
                forward = torch.compile(forward)
            return forward_backward([x, *m.parameters()], lambda: forward(x))

        return make

    variant("min_gru", layer(minimal(False)))
    variant("min_lstm", layer(minimal(True)))
    variant("lru", layer(lru))
    variant("lru_compiled", layer(lru, True))
    variant("s4d", layer(s4d))
    variant("s4d_compiled", layer(s4d, True))
