#!/usr/bin/env python3
"""Writes ngram.json: the probabilities of n-gram models after some histories, and the perplexity of a text. Kneser-Ney,
Katz, absolute discounting and interpolation are written anew from Chen and Goodman's formulas, by dictionaries of whole
n-grams; maximum likelihood and add-k are NLTK's where it is installed (pip install nltk), which must agree with them."""
import collections
import json
import math
import pathlib
import random

V, N, BOUNDARY = 8, 3, 0
random.seed(3)


def text(length):
    """Sentences of tokens 1 to V - 1, which prefer to follow some others; the last token is never used."""
    tokens = [BOUNDARY]
    for _ in range(length):
        last = tokens[-1]
        weights = [1.5 if last != BOUNDARY else 0] + [1 / (1 + (last * 3 + t * 5) % 7) ** 2 for t in range(1, V - 1)]
        tokens.append(random.choices(range(V - 1), weights)[0])
    return tokens + [BOUNDARY]


def histories(tokens, t):
    """All histories of the token at t, from the empty one to the longest, not beyond a boundary."""
    result = [()]
    for d in range(1, N):
        if t - d < 0 or (d > 1 and tokens[t - d + 1] == BOUNDARY):
            break
        result.append(tuple(tokens[t - d:t]))
    return result


def counted(tokens):
    c = collections.Counter()
    for t in range(1, len(tokens)):
        for h in histories(tokens, t):
            c[h + (tokens[t],)] += 1
    return c


class Model:
    def __init__(self, tokens, smoothing, **options):
        self.smoothing, self.options = smoothing, options
        self.c = counted(tokens)
        if "kneser" in smoothing:
            before = collections.Counter(g[1:] for g in self.c if len(g) > 1)
            self.c = {g: n if len(g) == N or (len(g) > 1 and g[0] == BOUNDARY) else before[g] for g, n in self.c.items()}
        self.after = collections.defaultdict(dict)
        for g, n in self.c.items():
            self.after[g[:-1]][g[-1]] = n
        self.n = {k: collections.Counter(n for g, n in self.c.items() if len(g) == k) for k in range(1, N + 1)}

    def cut(self, order, r):
        n = self.n[order]
        d = n[1] / (n[1] + 2 * n[2]) if n[1] else 0
        if r == 0:
            return 0
        if self.smoothing == "modified_kneser_ney":
            i = min(r, 3)
            if n[i] and n[i + 1]:
                own = i - (i + 1) * d * n[i + 1] / n[i]
                if own >= 0:
                    return own
            return d
        if self.smoothing == "katz":
            if r > 5:
                return 0
            if n[1] and 6 * n[6] != n[1]:
                a = 6 * n[6] / n[1]
                good = [((i + 1) * n[i + 1] / (i * n[i]) - a) / (1 - a) if n[i] else -1 for i in range(1, 6)]
                if all(0 < x <= 1 for x in good):
                    return r - r * good[r - 1]
            return min(d, 0.5)
        return d

    def p(self, h, w):
        """P(w | h) for the whole history h."""
        lower = self.p(h[1:], w) if h else 1 / V
        after, order = self.after[h], len(h) + 1
        c, total = after.get(w, 0), sum(after.values())
        if self.smoothing == "add_k":
            return (c + self.options["k"]) / (total + self.options["k"] * V)
        if total == 0:
            return lower
        if self.smoothing == "none":
            return c / total
        if self.smoothing == "interpolation":
            weights = self.options["weights"]
            part = weights[order] / sum(weights[:order + 1])
            return part * c / total + (1 - part) * lower
        left = sum(self.cut(order, r) for r in after.values()) / total
        if self.smoothing == "katz":
            unseen = 1 - sum(self.p(h[1:], x) if h else 1 / V for x in after)
            if unseen < 1e-12:
                return c / total
            if left == 0:  # for the others
                total, left = total + 1, 1 / (total + 1)
            return (c - self.cut(order, c)) / total if c else left / unseen * lower
        return max(c - self.cut(order, c), 0) / total + left * lower

    def perplexity(self, tokens):
        each = [self.p(histories(tokens, t)[-1], tokens[t]) for t in range(1, len(tokens))]
        return math.exp(-sum(map(math.log, each)) / len(each)) if min(each) > 0 else None


def check_nltk(tokens, model, asked):
    try:
        from nltk.lm import Lidstone, MLE
    except ImportError:
        return print("NLTK is not installed; its models were not compared")
    grams = [[tuple(map(str, h + (tokens[t],))) for t in range(1, len(tokens)) for h in histories(tokens, t)]]
    other = MLE(N) if model.smoothing == "none" else Lidstone(model.options["k"], N)
    other.fit(grams, map(str, range(V)))
    size = len(other.vocab) if model.smoothing == "add_k" else 0  # NLTK counts a token for the unknown ones
    for h in asked:
        total = sum(model.after[h].values())
        for w in range(V):
            theirs = other.score(str(w), tuple(map(str, h)))
            if size:
                theirs *= (total + model.options["k"] * size) / (total + model.options["k"] * V)
            assert model.smoothing == "none" and total == 0 or abs(theirs - model.p(h, w)) < 1e-12, (h, w)


train, test = text(400), text(60)
asked = [(), (0,), (1,), (7,), (1, 2), (2, 3), (5, 6), (6, 6), (7, 1), (3, 7)]
cases = []
for smoothing, options in [("none", {}), ("add_k", {"k": 0.5}), ("interpolation", {"weights": [0.1, 0.2, 0.3, 0.4]}),
                           ("absolute", {}), ("kneser_ney", {}), ("modified_kneser_ney", {}), ("katz", {})]:
    for name, tokens in [("short", train[:41]), ("long", train)]:
        model = Model(tokens, smoothing, **options)
        for h in asked:
            assert abs(sum(model.p(h, w) for w in range(V)) - 1) < 1e-12, (smoothing, h)
        if smoothing in ("none", "add_k"):
            check_nltk(tokens, model, asked)
        case = {"smoothing": smoothing, **options, "text": name, "p": [[model.p(h, w) for w in range(V)] for h in asked]}
        case["perplexity"] = model.perplexity(test)  # None where one is impossible
        print(smoothing, name, case["perplexity"])
        cases.append(case)
out = pathlib.Path(__file__).with_name("ngram.json")
out.write_text(json.dumps({"vocabulary": V, "order": N, "boundary": BOUNDARY, "train": train, "test": test,
                           "short": 41, "asked": asked, "cases": cases}) + "\n")
