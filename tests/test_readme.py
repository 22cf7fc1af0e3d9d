"""The README's Python examples run as they stand, and its quick start has its two commands."""

import re
from pathlib import Path

README = (Path(__file__).resolve().parents[1] / "README.md").read_text("utf-8")


def test_python_examples_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```", README, flags=re.DOTALL | re.MULTILINE)
    assert len(blocks) >= 3
    names = {}
    for block in blocks:  # in order: a later example may use what an earlier one imported
        exec(compile(block, "README.md", "exec"), names)
    assert names["future"].shape == (200, 3)


def test_quick_start_has_two_commands():
    section = README.split("\n## Quick start\n")[1].split("\n## ")[0]
    blocks = re.findall(r"^```bash\n(.*?)^```", section, flags=re.DOTALL | re.MULTILINE)
    assert len(blocks) == 2
    assert "echocast forecast" in blocks[0]
    assert "-m pytest" in blocks[1]


def test_links_lead_somewhere():
    root = Path(__file__).resolve().parents[1]
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", README)
    assert targets
    assert [target for target in targets if not (root / target).exists()] == []
