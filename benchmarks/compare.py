"""Runs this library and PyTorch in turns, workload by workload, and prints who is faster, or takes less memory. See
scripts/bench-vs-torch."""
import argparse
import json
import math
import os
import pathlib
import subprocess
import sys
import tempfile

LARGE = "^(train_gpt|train_mobilenet|attention_4k)$"  # whose memory is compared, unless others are asked for
PEER = pathlib.Path(__file__).with_name("torch_peer.py")


def preloading(library):
    return dict(os.environ, **({"LD_PRELOAD": library} if library else {}))


class Peer:
    """A PyTorch process that waits for work, so that importing it is paid for once."""

    def __init__(self, command, threads, preload=None):
        self.process = subprocess.Popen([*command, "--serve", "--threads", str(threads)], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=preloading(preload))
        self.version = json.loads(self.process.stdout.readline())["torch"]

    def measure(self, name, min_time, mode):
        print(json.dumps({"name": name, "min_time": min_time, "mode": mode}), file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"PyTorch ended in {name}, mode {mode or 'plain'}")
        return json.loads(line)


def run_json(command):
    """The results of a program that writes them to --json FILE."""
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        subprocess.run([*map(str, command), "--json", file.name], check=True, stdout=subprocess.DEVNULL)
        return json.load(file)


def names_of(command, options):
    chosen = ["--list", "--only", options.only, *(["--all"] if options.all else [])]
    return subprocess.run([*map(str, command), *chosen], check=True, text=True, capture_output=True).stdout.split()


def modes(uses):
    """All ways for PyTorch to run a workload that takes notice of these switches."""
    formats = ["", "channels_last"] if "channels_last" in uses else [""]
    optimizers = ["", "foreach", "fused"] if "fused" in uses else [""]
    return ["+".join(filter(None, pair)) for pair in ((f, o) for f in formats for o in optimizers)]


def compare(name, bench, peers, options):
    """The least median of each side over the rounds."""
    ours, theirs = None, {}  # milliseconds; by (malloc, mode)
    for _ in range(options.rounds):
        result = run_json([bench, "--only", f"^{name}$", "--all", "--threads", options.threads,
                           "--min-time", options.min_time])["results"][name]
        ours = result if ours is None or result["median_ms"] < ours["median_ms"] else ours
        if not theirs:
            first = peers["plain"].measure(name, options.min_time, "")
            theirs["plain", ""] = first["median_ms"]
            ways = [(p, m) for p in peers for m in modes(first["uses"]) if (p, m) != ("plain", "")]
        else:  # what is far behind stays there
            ways = [way for way, ms in theirs.items() if ms < 1.3 * min(theirs.values())]
        for peer, mode in ways:
            found = peers[peer].measure(name, options.min_time, mode)
            if "error" not in found:
                theirs[peer, mode] = min(theirs.get((peer, mode), math.inf), found["median_ms"])
    best = min(theirs, key=theirs.get)
    return {"ours_ms": ours["median_ms"], "theirs_ms": theirs[best], "ratio": theirs[best] / ours["median_ms"],
            "theirs_by": " ".join(filter(None, [best[1], "" if best[0] == "plain" else best[0]])) or "plain",
            "all_theirs_ms": {" ".join(filter(None, way)): ms for way, ms in theirs.items()},
            "flops": ours["flops"], "bytes": ours["bytes"], "peak_mb": ours["peak_mb"]}


def compare_memory(name, bench, options):
    """The least that each side took, with a process for each measurement."""
    threads = ["--threads", str(options.threads)]
    ours, theirs = math.inf, {}  # megabytes; by (malloc, mode)

    def ask(malloc, mode):
        command = [sys.executable, PEER, "--memory", "--all", "--only", f"^{name}$", "--mode", mode, *threads]
        run = subprocess.run(command, env=preloading(malloc and options.tcmalloc), text=True, capture_output=True)
        if run.returncode:
            if not mode:
                sys.exit(f"PyTorch ended in {name}:\n{run.stderr}")
            return []  # a mode that this release of PyTorch does not have
        found = json.loads(run.stdout)
        theirs[malloc, mode] = min(theirs.get((malloc, mode), math.inf), found["process_mb"])
        return found["uses"]

    for _ in range(options.rounds):
        result = run_json([bench, "--memory", "--all", "--only", f"^{name}$", *threads])["results"][name]
        if result["process_mb"] < ours:
            ours, tensors = result["process_mb"], result["peak_mb"]
        uses = ask("", "")
        for malloc in ["", *(["tcmalloc"] if options.tcmalloc else [])]:
            for mode in modes(uses):
                if malloc or mode:
                    ask(malloc, mode)
    best = min(theirs, key=theirs.get)
    return {"ours_mb": ours, "theirs_mb": theirs[best], "ratio": theirs[best] / ours, "peak_mb": tensors,
            "theirs_by": " ".join(filter(None, reversed(best))) or "plain",
            "all_theirs_mb": {" ".join(filter(None, reversed(way))) or "plain": mb for way, mb in theirs.items()}}


def add_limit(row, limits):
    """The least time that the machine can need for the work, as a share of ours."""
    by = {"FMA": row["flops"] / limits["gflops"] / 1e6}
    if row["bytes"]:  # at the bandwidth of the size that is nearest
        near = min(limits["bandwidths"], key=lambda b: abs(math.log(b["bytes"] / row["bytes"])))
        by["bandwidth"] = row["bytes"] / near["gbs"] / 1e6
    what = max(by, key=by.get)
    if by[what] > 0:
        row["limit"], row["limit_share"] = what, by[what] / row["ours_ms"]


def print_times(names, bench, options):
    limits = run_json([options.programs / "limits", "--threads", options.threads])
    peers = {"plain": Peer([sys.executable, PEER], options.threads)}
    if options.tcmalloc:
        peers["tcmalloc"] = Peer([sys.executable, PEER], options.threads, options.tcmalloc)
    if options.cpp_peer:
        peers["C++"] = Peer([options.cpp_peer], options.threads)
        if options.tcmalloc:
            peers["C++ tcmalloc"] = Peer([options.cpp_peer], options.threads, options.tcmalloc)
    print(f"PyTorch {peers['plain'].version}, {options.threads} threads, {options.rounds} rounds; "
          f"{limits['gflops']:.0f} GFLOP/s; products cut up as {limits['products']}; GB/s over "
          + ", ".join(f"{b['bytes'] >> 20} MB: {b['gbs']:.0f}" for b in limits["bandwidths"]) + "\n")
    print(f"{'':26s} {'ours, ms':>10s} {'theirs, ms':>10s} {'ratio':>7s}   {'of the limit':17s} theirs by")
    rows = {}
    for name in names:
        rows[name] = row = compare(name, bench, peers, options)
        add_limit(row, limits)
        limit = f"{row['limit_share']:5.0%} of {row['limit']}" if "limit" in row else ""
        print(f"{name:26s} {row['ours_ms']:10.4f} {row['theirs_ms']:10.4f} {row['ratio']:7.2f}   {limit:17s} "
              f"{row['theirs_by']}", flush=True)
    return {"torch": peers["plain"].version, "threads": options.threads, "limits": limits}, rows


def print_memory(names, bench, options):
    print(f"{'':26s} {'ours, MB':>10s} {'theirs, MB':>10s} {'ratio':>7s}   theirs by")
    rows = {}
    for name in names:
        rows[name] = row = compare_memory(name, bench, options)
        print(f"{name:26s} {row['ours_mb']:10.1f} {row['theirs_mb']:10.1f} {row['ratio']:7.2f}   {row['theirs_by']}",
              flush=True)
    return {"threads": options.threads}, rows


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--programs", type=pathlib.Path, required=True, help="where bench and limits are")
    parser.add_argument("--tcmalloc", default="", help="the library to preload; empty for none")
    parser.add_argument("--cpp-peer", default="", help="torch_peer.cpp, compiled; empty for none")
    parser.add_argument("--only", help="workloads whose name this regular expression finds")
    parser.add_argument("--all", action="store_true", help="the variants too")
    parser.add_argument("--memory", action="store_true", help="compare the memory taken, instead of the time")
    parser.add_argument("--rounds", type=int, help="3 unless given; 1 for memory, which hardly varies")
    parser.add_argument("--min-time", type=float, default=0.5, help="seconds for each measurement")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--json", help="a file for the results")
    options = parser.parse_args()
    options.only = options.only or (LARGE if options.memory else ".")
    options.rounds = options.rounds or (1 if options.memory else 3)

    bench = options.programs / "bench"
    names, peer_names = names_of([bench], options), names_of([sys.executable, PEER], options)
    if names != peer_names:
        sys.exit(f"the workloads differ: {sorted(set(names) ^ set(peer_names)) or 'in their order'}")
    if not names:
        sys.exit(f"no workload is called like {options.only}")

    about, rows = (print_memory if options.memory else print_times)(names, bench, options)
    ratios = [row["ratio"] for row in rows.values()]
    mean, lowest = math.exp(sum(map(math.log, ratios)) / len(ratios)), min(rows, key=lambda n: rows[n]["ratio"])
    print(f"\ngeometric mean {mean:.2f}, lowest {rows[lowest]['ratio']:.2f} ({lowest})")
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(
            {**about, "geometric_mean": mean, "lowest": lowest, "workloads": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
