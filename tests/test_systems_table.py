"""The script that runs all experiments, and the table of it in the documentation."""

from pathlib import Path

import systems

ROOT = Path(__file__).resolve().parents[1]


def test_no_experiment_is_left_out():
    rows = systems.load("run_all").ROWS
    scripts = {path.stem for path in systems.FOLDER.glob("exp_*.py")}
    assert {row.script for row in rows.values()} == scripts


def test_experiments_that_take_no_time_make_a_table():
    head, _, *lines = systems.load("run_all").table(["9", "18"]).splitlines()
    assert head == "| | reached | baseline | bounds | s |"
    assert [line.split(" | ")[0] for line in lines] == ["| 9", "| 18"]
    assert all(line.count(" | ") == 4 for line in lines)


def test_the_documentation_has_a_row_and_a_section_for_each():
    runs = systems.load("run_all")
    page = (ROOT / "docs" / "systems.md").read_text("utf-8")
    shown = page.partition(runs.HEAD)[2]
    sections = "\n".join(path.read_text("utf-8") for path in (ROOT / "docs").glob("systems-*.md"))
    readme = (systems.FOLDER / "README.md").read_text("utf-8")
    for number, row in runs.ROWS.items():
        assert f"\n| {number} | " in shown
        assert row.bounds in shown
        assert f"`{row.script}.py`" in readme
        if number != "bridge":  # no system of the chapter
            assert f"/{row.script}.py)" in sections
