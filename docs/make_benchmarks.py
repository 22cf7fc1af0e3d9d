"""Write the table and the pictures of docs/performance.md from what benchmarks/suite.py measured.

Run with ``python docs/make_benchmarks.py [benchmarks/results.json]``. Nothing on that page between
its two markers is typed by hand; tests/test_performance_page.py holds it to the file.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent
RESULTS = DOCS.parent / "benchmarks" / "results.json"
PAGE = DOCS / "performance.md"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
MET, MISSED = "#0072B2", "#D55E00"


def tables(content: dict) -> str:
    """What stands between the markers."""
    rows = content["rows"]
    versions = ", ".join(f"{name} {version}" for name, version in content["versions"].items())
    machine = content["machine"]
    lines = [
        f"{machine['system']}, {machine['cpus']} processors; {versions}.",
        "",
        "| | job | against | measured | target | |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        if row["id"] != "growth":
            verdict = {True: "met", False: "**missed**", None: ""}[row["met"]]
            value = f"{row['value']:.3g} {row['unit']}"
            cells = (row["id"], row["job"], row["against"], value, row["target"], verdict)
            lines.append("| " + " | ".join(cells) + " |")
    lines += [
        "",
        "| a fit, by | sizes | seconds | memory, MB | exponent |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        if row["id"] == "growth":
            seconds = ", ".join(f"{value:.2g}" for value in row["seconds"])
            memory = ", ".join(f"{value:.0f}" for value in row["megabytes"])
            sizes = ", ".join(str(size) for size in row["sizes"])
            name = row["job"].split()[-1]
            lines.append(f"| {name} | {sizes} | {seconds} | {memory} | {row['value']:.2f} |")
    return "\n".join(lines)


def page_with(text: str, measured: str) -> str:
    """The page with another middle part."""
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    return f"{before}{BEGIN}\n{measured}\n{END}{after}"


def draw_ratios(rows: list[dict], path: Path) -> None:
    """How many times faster than the peer, on a logarithmic axis, with the target of each."""
    import matplotlib.pyplot as plt

    # One bar for each cell of the many sizes of P5 and P6: the smallest ratio.
    least: dict[str, dict] = {}
    for row in rows:
        if row["unit"] == "x":
            many = row["id"] in ("P5", "P6")
            name = f"{row['job'].split(',')[0]} update, least of all sizes" if many else row["job"]
            label = f"{row['id']}  {name}\nagainst {row['against']}"
            if label not in least or row["value"] < least[label]["value"]:
                least[label] = row
    figure, ax = plt.subplots(figsize=(8, 0.42 * len(least) + 1), layout="constrained")
    for place, row in enumerate(reversed(least.values())):
        ax.barh(place, row["value"], color=MET if row["met"] else MISSED, height=0.6)
        ax.text(row["value"] * 1.05, place, f"{row['value']:.1f}", va="center", fontsize=8)
        if row["target"]:
            bound = float(row["target"].split()[1])
            ax.plot([bound, bound], [place - 0.4, place + 0.4], color="black", lw=1.5)
    ax.set_yticks(range(len(least)), list(reversed(least)), fontsize=7)
    ax.set_xscale("log")
    ax.axvline(1, color="0.6", lw=0.8)
    ax.set_xlabel("times faster (black line: target)")
    ax.margins(x=0.12)
    figure.savefig(path)
    plt.close(figure)


def draw_growth(rows: list[dict], path: Path) -> None:
    """Seconds and memory of a fit over size, logarithmic."""
    import matplotlib.pyplot as plt

    growing = [row for row in rows if row["id"] == "growth"]
    options = {"figsize": (8, 4), "dpi": 90, "layout": "constrained", "sharey": "row"}
    figure, axes = plt.subplots(2, len(growing), sharex="col", **options)
    for (above, below), row in zip(axes.T, growing):
        above.loglog(row["sizes"], row["seconds"], "o-", color=MET)
        above.set_title(f"power {row['value']:.2f}", fontsize=9)
        below.loglog(row["sizes"], row["megabytes"], "s-", color=MET, ms=4)
        below.set_xlabel(row["job"].split()[-1])
        for ax in (above, below):
            ax.grid(alpha=0.3)
            for axis in (ax.xaxis, ax.yaxis):
                axis.set_minor_formatter("")
    axes[0, 0].set_ylabel("seconds")
    axes[1, 0].set_ylabel("memory, MB")
    figure.savefig(path)
    plt.close(figure)


def main() -> None:
    import matplotlib

    matplotlib.use("Agg")
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else RESULTS
    content = json.loads(path.read_text("utf-8"))
    PAGE.write_text(page_with(PAGE.read_text("utf-8"), tables(content)), "utf-8")
    draw_ratios(content["rows"], DOCS / "figures" / "performance.png")
    draw_growth(content["rows"], DOCS / "figures" / "growth.png")


if __name__ == "__main__":
    main()
