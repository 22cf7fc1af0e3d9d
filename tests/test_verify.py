"""The command that measures what the package promises: its report, and that a miss is a miss."""

import json
import re

import pytest

from echocast._cli import _GROUPS, main
from echocast._verify import _figures, _report
from echocast._verify._figures import Figure, Row, figure, measure, skipped

_report._load_rows()


def command(capsys, *arguments):
    code = main(["verify", *arguments])
    return code, capsys.readouterr()


def test_every_group_of_the_command_has_rows():
    assert {row.group for row in _figures.ROWS} == set(_GROUPS)
    names = [row.name for row in _figures.ROWS]
    assert len(names) == len(set(names)) >= 20


def test_rows_pass_and_are_reported(capsys, tmp_path):
    path = tmp_path / "figures.json"
    code, said = command(capsys, "--only", "memory", "faults", "--json", str(path))
    assert code == 0
    lines = said.out.splitlines()
    assert re.match(r"echocast \S+ \| Python \S+ \| numpy \S+ \| .* cores \| seed 0$", lines[0])
    assert lines[-1].startswith("2 passed, 0 missed, 0 skipped; ")
    content = json.loads(path.read_text())
    assert [row["verdict"] for row in content["rows"]] == ["PASS", "PASS"]
    assert {row["group"] for row in content["rows"]} == {"memory", "faults"}
    assert content["about"]["packages"]["numpy"]
    assert all(row["value"] <= row["limit"] for row in content["rows"])


@pytest.fixture
def rows(monkeypatch):
    """Rows of the test's own."""

    def replace(*functions):
        found = [Row(f"row {k}", "time", f, k == 9) for k, f in enumerate(functions)]
        monkeypatch.setattr(_report, "ROWS", found)

    return replace


def test_a_miss_is_said_and_is_the_exit_code(capsys, rows):
    rows(lambda seed, full: figure("3 trials", "2 wrong", 2), lambda seed, full: skipped("no disk"))
    code, said = command(capsys)
    assert code == 1
    assert "2 wrong" in said.out
    assert "MISS" in said.out
    assert "SKIPPED (no disk)" in said.out
    assert "0 passed, 1 missed, 1 skipped" in said.out
    assert "a row missed its limit" in said.err


def test_skipped_rows_alone_are_no_miss_and_no_pass(capsys, rows):
    rows(lambda seed, full: skipped("no disk"))
    code, said = command(capsys)
    assert code == 0
    assert "0 passed, 0 missed, 1 skipped" in said.out


def test_an_error_is_a_miss_of_its_row_and_not_the_end(capsys, rows):
    def broken(seed, full):
        raise KeyError("some\nthing")

    rows(broken, lambda seed, full: figure("1 trial", "fine", 0))
    code, said = command(capsys)
    assert code == 1
    assert "MISS KeyError: 'some\\nthing'" in said.out
    assert "1 passed, 1 missed" in said.out


def test_no_number_is_a_miss():
    assert figure("", "", float("nan")).passed is False
    assert Figure("", passed=None, reason="x").verdict == "SKIPPED (x)"


def test_figures_that_are_no_numbers_are_json(capsys, rows, tmp_path):
    rows(
        lambda seed, full: figure("", "", float("nan")),
        lambda seed, full: figure("", "", float("inf")),
    )
    path = tmp_path / "figures.json"
    assert command(capsys, "--json", str(path))[0] == 1
    content = json.loads(path.read_text(), parse_constant=lambda name: pytest.fail(name))
    assert [row["value"] for row in content["rows"]] == ["nan", "inf"]


def test_a_file_that_cannot_be_written_is_said_before_the_rows_run(capsys, rows, tmp_path):
    seen = []
    rows(lambda seed, full: seen.append(seed) or figure("", "", 0))
    code, said = command(capsys, "--json", str(tmp_path / "nowhere" / "figures.json"))
    assert code != 0
    assert seen == []
    assert "figures.json" in said.err


def test_seed_and_size_reach_the_rows(capsys, rows):
    seen = []
    rows(lambda seed, full: seen.append((seed, full)) or figure("", "", 0))
    command(capsys, "--seed", "7", "--full")
    assert seen == [(7, True)]


def test_long_rows_are_skipped_unless_asked_for():
    row = Row("long", "cache", lambda seed, full: figure("", "", 0), full_only=True)
    assert measure(row, 0, False).passed is None
    assert measure(row, 0, True).passed


def test_an_unknown_group_is_an_error_of_usage(capsys):
    code, said = command(capsys, "--only", "weather")
    assert code == 2
    assert "no group 'weather'" in said.err


@pytest.mark.slow
def test_everything_passes(capsys):
    code, said = command(capsys)
    assert code == 0, said.out
