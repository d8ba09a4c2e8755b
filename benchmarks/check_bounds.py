"""Holds what the steps of some workloads do against bounds. See scripts/check-performance."""
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

SLACK = 1.05  # for instructions, which differ a little between releases of the compiler and of libc


def counts(bench, name):
    chosen = [bench, "--only", f"^{name}$"]
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        subprocess.run([*chosen, "--steps", "50", "--json", file.name], check=True, stdout=subprocess.DEVNULL)
        result = json.load(file)["results"][name]
    steps = 4
    environment = dict(os.environ, COTANGENT_ISA="v3", OMP_NUM_THREADS="1")
    valgrind = ["valgrind", "--tool=callgrind", "--toggle-collect=counted_steps", "--callgrind-out-file=/dev/null"]
    run = subprocess.run([*valgrind, *chosen, "--threads", "1", "--steps", str(steps)], text=True, capture_output=True,
                         env=environment)
    collected = re.search(r"Collected : (\d+)", run.stderr)
    if run.returncode or not collected:
        sys.exit(f"{name} under valgrind:\n{run.stdout}{run.stderr}")
    return {"instructions": int(collected[1]) // steps,
            **{k: round(result[k], 2) for k in ("heap_allocations", "system_allocations", "page_faults")}}


def main():
    bench, path, update = sys.argv[1], pathlib.Path(sys.argv[2]), "--update" in sys.argv
    bounds, found, exceeded = json.loads(path.read_text()), {}, False
    for name, bound in bounds.items():
        found[name] = counts(bench, name)
        for what, value in found[name].items():
            most = bound[what] * SLACK if what == "instructions" else bound[what] + 0.1
            verdict = "TOO MANY" if value > most else "fewer: lower the bound by --update" if value < 0.8 * bound[what] else ""
            exceeded |= value > most
            print(f"{name:20s} {what:20s} {value:>12} a step, bound {bound[what]:>12}  {verdict}".rstrip())
    if update:
        lines = [f" {json.dumps(name)}: {json.dumps(count)}" for name, count in found.items()]
        path.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    elif exceeded:
        sys.exit("A step does more than it may. If that is right, say why, and run scripts/check-performance --update.")


main()
