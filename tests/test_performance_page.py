"""The page on performance says what the benchmarks measured."""

import importlib.util
import json
from pathlib import Path

DOCS = Path(__file__).resolve().parents[1] / "docs"
SPEC = importlib.util.spec_from_file_location("make_benchmarks", DOCS / "make_benchmarks.py")
make_benchmarks = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(make_benchmarks)


def test_page_holds_the_measured_figures():
    content = json.loads(make_benchmarks.RESULTS.read_text("utf-8"))
    page = make_benchmarks.PAGE.read_text("utf-8")
    assert make_benchmarks.page_with(page, make_benchmarks.tables(content)) == page


def test_every_target_is_in_the_results():
    content = json.loads(make_benchmarks.RESULTS.read_text("utf-8"))
    found = {row["id"] for row in content["rows"]}
    wanted = {f"P{k}" for k in range(1, 12)} | {"P1b", "growth"}
    assert wanted <= found
    assert "reservoirpy" in content["versions"]
