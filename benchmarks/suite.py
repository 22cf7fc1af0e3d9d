"""All benchmarks of speed in one run: their ratios to peers and targets, as JSON and as a table.

Run with ``pip install ".[bench]" && python benchmarks/suite.py --json FILE`` on a machine with
nothing else to do (about 20 minutes on two cores). Peers that are not installed are left out, and
their rows with them: `bench` brings reservoirpy, rclib, reservoir_computing and skforecast; PyTorch
has to be installed by hand, as its builds depend on the machine.
``python docs/make_benchmarks.py FILE`` makes the documentation's table and picture of the file.

Each script runs in a process of its own, with the number of threads its figures are asked for.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from _record import machine, versions

HERE = Path(__file__).resolve().parent

# script, options, threads of BLAS
SCRIPTS = (
    ("bench_speed.py", ("--units", "1000"), 1),
    ("bench_search.py", (), 1),
    ("bench_classification.py", (), 1),
    ("bench_rnn.py", ("--threads", "2"), 2),
    ("bench_backtest.py", (), 1),
    ("bench_stream.py", (), 1),
    ("bench_time_chunks.py", ("--repeat", "2"), 1),
    ("cost_growth.py", (), 1),
)


def run(script: str, options: tuple[str, ...], n_threads: int) -> dict:
    """What a script writes; its seconds beside it."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(n_threads))
    print(f"\n===== {script} {' '.join(options)}, {n_threads} thread(s)", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.json"
        start = time.perf_counter()
        command = [sys.executable, str(HERE / script), *options, "--json", str(path)]
        done = subprocess.run(command, env={**os.environ, **threads}, check=False)
        seconds = time.perf_counter() - start
        found = json.loads(path.read_text("utf-8")) if path.exists() else {"rows": []}
    return {**found, "script": script, "seconds": seconds, "exit_code": done.returncode}


def table(rows: list[dict]) -> str:
    """Markdown, one line for each figure."""
    lines = ["| | job | against | measured | target | |", "|---|---|---|---|---|---|"]
    for row in rows:
        verdict = {True: "met", False: "missed", None: ""}[row["met"]]
        value = f"{row['value']:.3g} {row['unit']}"
        cells = (row["id"], row["job"], row["against"], value, row["target"], verdict)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, default=Path("benchmarks.json"), metavar="FILE")
    parser.add_argument("--only", nargs="+", metavar="SCRIPT", help="some of the scripts")
    arguments = parser.parse_args()
    chosen = [s for s in SCRIPTS if not arguments.only or s[0] in arguments.only]
    parts = [run(*script) for script in chosen]
    rows = [row for part in parts for row in part.pop("rows")]
    # Numbers of threads differ from script to script and stand in `parts`.
    content = {"versions": versions(), "machine": machine(), "rows": rows, "parts": parts}
    arguments.json.write_text(json.dumps(content, indent=1) + "\n", "utf-8")
    print("\n" + table([row for row in rows if row["target"]]))
    failed = [part["script"] for part in parts if part["exit_code"]]
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return len(failed)


if __name__ == "__main__":
    sys.exit(main())
