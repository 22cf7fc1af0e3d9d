"""Lanes and lock say what pyproject.toml says, and no empty audit passes for a good one."""

import importlib.util
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
CI = ROOT / ".ci"
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PROJECT = PYPROJECT["project"]


def lines_of(name):
    lines = (CI / name).read_text("utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def needs(extras):
    """Return the requirements of the package with these extras, its own extras resolved."""
    found = [Requirement(text) for text in PROJECT["dependencies"]]
    for extra in extras:
        for text in PROJECT["optional-dependencies"][extra]:
            need = Requirement(text)
            found += needs(need.extras) if need.name == "echocast" else [need]
    return found


def test_the_lowest_lane_takes_exactly_the_floors():
    (extras,) = re.findall(r"/source\[([a-z,]+)\]", (CI / "lane").read_text("utf-8"))
    floors = {}
    for need in needs(extras.split(",")):
        (floor,) = need.specifier
        assert floor.operator == ">=", f"{need} has no floor"
        floors.setdefault(need.name, set()).add(floor.version)
    # A second, higher floor in an extra would keep the first from ever being tested.
    assert all(len(versions) == 1 for versions in floors.values()), floors
    expected = sorted(f"{name}=={min(versions)}" for name, versions in floors.items())
    lines = lines_of("lowest.txt")
    assert [line for line in lines if "==" in line] == expected
    # The others hold back what old releases bring along, and nothing that echocast asks for.
    assert floors.keys().isdisjoint(Requirement(line).name for line in lines if "==" not in line)


def test_every_extra_of_users_is_in_the_lane():
    (extras,) = re.findall(r"/source\[([a-z,]+)\]", (CI / "lane").read_text("utf-8"))
    # sktime has a lane of its own (.ci/interop), because of the pandas that it asks for.
    tools = {"bench", "dev", "interop", "sktime"}
    assert set(extras.split(",")) == set(PROJECT["optional-dependencies"]) - tools


def test_the_lane_of_pandas_2_is_supported():
    (line,) = lines_of("pandas-2.txt")
    assert line == "pandas==2.2.*"
    (pandas,) = [need for need in needs([]) if need.name == "pandas"]
    assert any(pandas.specifier.contains(f"2.2.{patch}") for patch in range(10))


def test_the_lock_pins_and_hashes_everything_and_names_no_place():
    text = (CI / "lock.txt").read_text("utf-8")
    assert re.search(r"://|index|find-links|/tmp|/home", text) is None
    entries = re.split(r"\n(?=\S)", "\n".join(lines_of("lock.txt")))
    pinned = {}
    for entry in entries:
        match = re.match(r"([a-z0-9-]+)==(\S+) \\\n    --hash=sha256:[0-9a-f]{64}", entry)
        assert match, entry
        pinned[match[1]] = Version(match[2])
    for need in [*needs(["dev"]), *map(Requirement, PYPROJECT["build-system"]["requires"])]:
        assert need.name in pinned, f"run: bash .ci/lock ({need} is not in the lock)"
        assert need.specifier.contains(pinned[need.name]), f"{need}: {pinned[need.name]}"


@pytest.fixture(scope="module")
def reports():
    spec = importlib.util.spec_from_file_location("audit_reports", CI / "audit_reports.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


HOLE = {"id": "CVE-1", "fix_versions": ["2.0"]}
KNOWN = [{"name": "old", "version": "1.0", "vulns": [HOLE]}]
GOOD = {"name": "good", "version": "1.0", "vulns": []}
UNSEEN = {"name": "unseen", "skip_reason": "not found"}


@pytest.mark.parametrize(
    ("known", "locked", "status", "words"),
    [
        (KNOWN, [GOOD], 0, "no known vulnerabilities in 1 locked versions"),
        (KNOWN, [GOOD, *KNOWN], 1, "old 1.0: CVE-1, mended in 2.0"),
        (KNOWN, [*KNOWN, UNSEEN], 1, "NOT AUDITED: unseen"),
        (KNOWN, [GOOD, UNSEEN], 3, "NOT AUDITED: unseen: not found"),
        (KNOWN, [], 3, "gave no report"),
        (KNOWN, None, 3, "gave no report"),
        (None, [GOOD], 3, "cannot be reached"),
        ([GOOD], [GOOD], 3, "does not know a release"),
        ([UNSEEN], [GOOD], 3, "does not know a release"),
    ],
)
def test_an_audit_that_says_nothing_is_not_passed(reports, known, locked, status, words):
    found, lines = reports.judge(known, locked)
    assert found == status
    assert words in "\n".join(lines)


@pytest.mark.parametrize("text", [None, "", "Traceback", "{}"])
def test_a_report_that_was_not_written_is_none(reports, tmp_path, text):
    path = tmp_path / "report.json"
    if text is not None:
        path.write_text(text, "utf-8")
    assert reports.read_report(path) is None


def test_a_bill_of_materials_names_no_folder_of_the_machine(reports):
    where = {"type": "distribution", "url": "file:///somewhere/a.whl"}
    home = {"type": "website", "url": "https://example.org"}
    bom = {
        "metadata": {"component": {"name": "root"}},
        "components": [
            {"name": "a", "externalReferences": [where, home]},
            {"name": "b", "externalReferences": [where]},
        ],
    }
    assert reports.clean(bom)["components"] == [
        {"name": "a", "externalReferences": [home]},
        {"name": "b"},
    ]
