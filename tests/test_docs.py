"""Every code block of the documentation runs, prints what the page says, and links lead somewhere.

A page is one program: its ``python`` blocks run in order in one namespace, with warnings as
errors. A ``text`` block right after a ``python`` block is what that block prints ("..." stands for
anything).
"""

import contextlib
import doctest
import importlib
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#\s]+)(?:#([^)\s]*))?\)")
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def name_of(page):
    return page.relative_to(DOCS).as_posix()


def blocks_of(page):
    """(language, code, first line, whether it stands right after the block before)."""
    text = page.read_text("utf-8")
    end = None
    for match in BLOCK.finditer(text):
        line = text.count("\n", 0, match.start(2)) + 1
        follows = end is not None and not text[end : match.start()].strip()
        yield match[1], match[2], line, follows
        end = match.end()


def run(page):
    space = {"__name__": "__main__"}
    printed = None
    for language, code, line, follows in blocks_of(page):
        if language == "python":
            program = compile("\n" * (line - 1) + code, str(page), "exec")
            stream = io.StringIO()
            with contextlib.redirect_stdout(stream):
                exec(program, space)
            printed = stream.getvalue()
        elif language == "text" and follows and printed is not None:
            same = doctest.OutputChecker().check_output(code, printed, FLAGS)
            assert same, f"{name_of(page)}, line {line}: the block before prints\n{printed}"
            printed = None


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_page_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(page)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page):
    for target, anchor in LINK.findall(page.read_text("utf-8")):
        if "://" in target:
            continue
        found = (page.parent / target).resolve()
        assert found.exists(), f"{name_of(page)} links to {target}"
        if anchor:
            assert anchor in anchors_of(found), f"{name_of(page)} links to {target}#{anchor}"


def anchors_of(page):
    titles = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_the_map_leads_to_every_page():
    index = DOCS / "index.md"
    linked = {(DOCS / target).resolve() for target, _ in LINK.findall(index.read_text("utf-8"))}
    assert [name_of(p) for p in PAGES if p != index and p not in linked] == []


def test_every_public_name_is_explained():
    text = "\n".join(page.read_text("utf-8") for page in PAGES)
    public = {
        name
        for package in ("datasets", "forecasting", "reservoir", "reservoir.rnn", "testing")
        for name in importlib.import_module(f"echocast.{package}").__all__
    }
    assert sorted(n for n in public if not re.search(rf"\b{n}\b", text)) == []


def test_figures_are_small_and_used():
    text = "\n".join(page.read_text("utf-8") for page in PAGES)
    figures = sorted((DOCS / "figures").rglob("*.png"))
    assert figures
    for figure in figures:
        assert figure.relative_to(DOCS).as_posix() in text
        assert figure.stat().st_size < 80_000


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "folder"), [("make_figures.py", "."), ("make_system_figures.py", "systems")]
)
def test_figures_can_be_made_again(tmp_path, script, folder):
    done = subprocess.run(
        [
            sys.executable,
            "-W",
            "error",
            "-W",
            "ignore:::pyparsing",
            str(DOCS / script),
            str(tmp_path),
        ],
        env={**os.environ, "MPLBACKEND": "Agg"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    names = {figure.name for figure in (DOCS / "figures" / folder).glob("*.png")}
    assert {figure.name for figure in tmp_path.glob("*")} == names
