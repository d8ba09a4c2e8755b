"""Writes indexing.json: random index expressions, and what NumPy reads and writes there. Run it in this folder."""
import json

import numpy as np

rng = np.random.default_rng(1)


def random_slice(size):
    bound = lambda: None if rng.random() < 0.4 else int(rng.integers(-size - 1, size + 2))
    return slice(bound(), bound(), None if rng.random() < 0.6 else int(rng.integers(1, 3)))


def random_index(shape, common):
    """One entry or several for each dimension, until the list is long enough."""
    entries, d = [], 0
    while d < len(shape) and len(entries) < 5:
        kind = rng.choice(["int", "slice", "none", "ellipsis", "array", "mask", "stop"], p=[0.14, 0.2, 0.08, 0.1, 0.3, 0.1, 0.08])
        if kind == "stop":
            break
        if kind == "ellipsis":
            if Ellipsis in [e for e in entries if e is Ellipsis]:
                continue
            entries.append(Ellipsis)
            d += int(rng.integers(0, len(shape) - d + 1))
            continue
        if kind == "none":
            entries.append(None)
            continue
        if kind == "int":
            entries.append(int(rng.integers(-shape[d], shape[d])))
        elif kind == "slice":
            entries.append(random_slice(shape[d]))
        elif kind == "array":
            array_shape = common[int(rng.integers(0, len(common) + 1)):]
            array_shape = [1 if rng.random() < 0.2 else n for n in array_shape]
            entries.append(rng.integers(-shape[d], shape[d], array_shape))
        else:
            rank = int(rng.integers(1, min(2, len(shape) - d) + 1))
            entries.append(rng.random(shape[d:d + rank]) < 0.5)
            d += rank - 1
        d += 1
    return entries


def encode(entry):
    if entry is None:
        return {"kind": "none"}
    if entry is Ellipsis:
        return {"kind": "ellipsis"}
    if isinstance(entry, int):
        return {"kind": "integer", "value": entry}
    if isinstance(entry, slice):
        return {"kind": "slice", "start": entry.start, "stop": entry.stop, "step": entry.step or 1}
    entry = np.asarray(entry)
    kind = "mask" if entry.dtype == bool else "tensor"
    return {"kind": kind, "shape": list(entry.shape), "values": entry.astype(int).ravel().tolist()}


cases = []
while len(cases) < 150:
    shape = rng.integers(1, 4, int(rng.integers(1, 5))).tolist()
    common = rng.integers(1, 4, int(rng.integers(0, 3))).tolist()
    x = np.arange(np.prod(shape)).reshape(shape)
    entries = random_index(shape, common)
    try:
        y = x[tuple(entries)]
    except IndexError:
        continue
    if not entries or y.size > 20:
        continue
    written = x.copy()
    written[tuple(entries)] = 100 + np.arange(y.size).reshape(y.shape)
    cases.append({"shape": shape, "index": [encode(e) for e in entries], "result_shape": list(y.shape),
                  "result": y.ravel().tolist(), "written": written.ravel().tolist()})

with open("indexing.json", "w") as f:
    f.write("[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]\n")
