"""What is installed equals what the folders hold, and no nested package was forgotten."""

import importlib.metadata
import json
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SETUPTOOLS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]
# Where each folder of the checkout lands in site-packages.
TARGETS = {
    folder: package.replace(".", "/") for package, folder in SETUPTOOLS["package-dir"].items()
}


def folders_content():
    """Return the path in site-packages of every module and data file of the checkout."""
    expected = set()
    for folder, target in TARGETS.items():
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and path.suffix in {".py", ".csv", ".md", ".typed"}:
                expected.add(f"{target}/{path.relative_to(ROOT / folder).as_posix()}")
    return expected


def is_editable():
    origin = importlib.metadata.distribution("echocast").read_text("direct_url.json")
    return origin is not None and json.loads(origin).get("dir_info", {}).get("editable", False)


def test_every_package_of_the_folders_is_listed():
    listed = set(SETUPTOOLS["packages"])
    found = {
        str(Path(name).parent).replace("/", ".")
        for name in folders_content()
        if name.endswith("__init__.py")
    }
    assert found == listed


def test_installed_files_are_those_of_the_folders():
    if is_editable():
        pytest.skip("an editable install holds no copies to compare")
    installed = {
        file.as_posix()
        for file in importlib.metadata.files("echocast")
        if file.parts[0] == "echocast" and file.suffix not in {".pyc", ".nbi", ".nbc"}
    }
    assert installed == folders_content()


def test_nothing_is_installed_beside_the_package():
    tops = {file.parts[0] for file in importlib.metadata.files("echocast")}
    # The console script lies in "../../../bin"; an editable install adds its import hook.
    ours = {"echocast", "..", "__pycache__"}
    assert {
        top for top in tops - ours if not top.startswith(("echocast-", "__editable__"))
    } == set()


def test_the_package_says_that_it_is_typed():
    import echocast

    assert (Path(echocast.__file__).parent / "py.typed").is_file()
