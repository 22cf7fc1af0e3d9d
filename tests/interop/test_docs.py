"""The blocks of docs/ecosystem.md that need other libraries run, after those that need none."""

import re
from pathlib import Path

import matplotlib.pyplot as plt

PAGE = Path(__file__).resolve().parents[2] / "docs" / "ecosystem.md"
BLOCK = re.compile(r"^```(python|py)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_page_runs(tmp_path, monkeypatch, tally):
    monkeypatch.chdir(tmp_path)
    text = PAGE.read_text("utf-8")
    space = {"__name__": "__main__"}
    blocks = list(BLOCK.finditer(text))
    for block in blocks:
        line = text.count("\n", 0, block.start(2))
        exec(compile("\n" * line + block[2], str(PAGE), "exec"), space)
    plt.close("all")
    theirs = sum(block[1] == "py" for block in blocks)
    tally(f"docs/ecosystem.md: {len(blocks)} blocks ran, {theirs} of them with other libraries")
    assert theirs >= 4
    assert space["scores"] is not None
    assert space["results"]["test_MeanAbsolutePercentageError"].mean() < 0.1
