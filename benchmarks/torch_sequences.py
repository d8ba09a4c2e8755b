"""PyTorch's side of benchmarks/sequences.cpp, for torch_peer.py."""
import torch

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

    def of_one(function):
        def make():
            x = leaf(*rows)
            return forward_backward([x], lambda: function(x))

        return make

    variant("cumprod", of_one(lambda x: x.cumprod(1)))
    variant("logcumsumexp", of_one(lambda x: x.logcumsumexp(1)))
    variant("cummax", of_one(lambda x: x.cummax(1).values))
