"""Writes print.json: arrays, and how NumPy prints them with a precision of 4. Run it in this folder."""
import json

import numpy as np

np.set_printoptions(precision=4, threshold=1000, edgeitems=3, linewidth=75, suppress=False)
rng = np.random.default_rng(2)
nan, inf = np.nan, np.inf


def spread(*shape):
    """Values that the test makes by itself, so that they need not be stored."""
    return ((np.arange(np.prod(shape)) * 7919 % 2003 - 1000) / 7).reshape(shape)


arrays = [
    [1.0], [0.5, 2.25], [1 / 3, 2 / 3, 1.0], [[1, 2], [3, 4.5]], [-1.0, 0.0, 1.0], [-0.0, 0.0], [1e-5], [0.0, 1e-5],
    [1e8], [99999999.0], [12345.678, 100.0], [1e-3, 10.0], [1e-3, 1.0], [1e300, 1e-300], [1.23456789e-7, 5e-7], [nan],
    [inf, 1.0], [-inf, 1.0], [-inf, 100.5, nan], [nan, 1e-9, inf], [0.00012345, 0.00054321], [123456.79, 1234567.9],
    [0.99999, 1.0], [9.99999, 100.0], [-123.456, 0.001234 * 1000], [[0.1, -20.25], [3.14159, 400.0]], [0.00005, 0.00015],
    [2.00005, 1.00015, 0.5], np.arange(60.0), np.arange(30) / 7, -np.arange(24.0).reshape(2, 3, 4) / 3,
    rng.standard_normal((3, 12)), rng.standard_normal((2, 2, 2, 2)) * 100, rng.standard_normal(20) * 1e-6, np.zeros((2, 3)),
    spread(40, 40), spread(1001), spread(5, 6, 50), spread(7, 8, 30), spread(10, 100), spread(2, 501), spread(501, 2),
]
cases = []
for array in arrays:
    for dtype in ["float64", "float32", "float16"]:
        a = np.asarray(array).astype(dtype)
        if dtype == "float16" and (a.size > 100 or not np.isfinite(a).all() or "e" in str(a)):
            continue  # NumPy gives small float16 numbers more digits than tell them apart
        if a.size > 100 and dtype == "float32":
            continue
        cases.append((dtype, a))
for array in [[1, -200, 3], [[0, 1], [-1, 0]], [7], np.arange(100), [2**62, -(2**62)],
              np.arange(24).reshape(2, 1, 3, 4)]:
    cases.append(("int64", np.asarray(array)))
cases.append(("bool", np.array([True, False])))
cases.append(("bool", np.array([[True, True]])))
cases.append(("uint8", np.array([[1, 20], [255, 0]], dtype=np.uint8)))

number = lambda v: v if np.isfinite(v) else str(v)
out = [{"dtype": d, "shape": list(a.shape), "text": str(a),
        "values": [] if a.size > 150 else
                  [number(v) for v in a.astype(float if "float" in d else int).ravel().tolist()]} for d, a in cases]
with open("print.json", "w") as f:
    f.write("[\n" + ",\n".join(json.dumps(c) for c in out) + "\n]\n")
