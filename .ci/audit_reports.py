"""Read what the tools of ``.ci/audit`` wrote: no report that says nothing passes for a good one."""

from __future__ import annotations

import json
import sys
from pathlib import Path

GOOD, BAD, UNKNOWN = 0, 1, 3


def read_report(path):
    """Return pip-audit's list of packages, None where it ended before it wrote one."""
    try:
        return json.loads(Path(path).read_text("utf-8"))["dependencies"]
    except (OSError, ValueError, KeyError):
        return None


def judge(known, locked):
    """Return (status, lines) from the reports on a bad release and on the lock."""
    if known is None or not any(package.get("vulns") for package in known):
        return UNKNOWN, [
            "NOT AUDITED: the vulnerability service cannot be reached, or does not know a release "
            "that is vulnerable"
        ]
    if not locked:
        return UNKNOWN, ["NOT AUDITED: the vulnerability service gave no report on the lock"]
    found = [
        f"{package['name']} {package['version']}: {hole['id']}, "
        f"mended in {', '.join(hole['fix_versions']) or 'no release'}"
        for package in locked
        for hole in package.get("vulns", ())
    ]
    skipped = [
        f"NOT AUDITED: {package['name']}: {package['skip_reason']}"
        for package in locked
        if "skip_reason" in package
    ]
    if found:
        return BAD, found + skipped
    if skipped:
        return UNKNOWN, skipped
    return GOOD, [f"no known vulnerabilities in {len(locked)} locked versions"]


def clean(bom):
    """Take out of a bill of materials where on this machine the wheel lay; return it."""
    for part in [bom.get("metadata", {}).get("component", {}), *bom.get("components", ())]:
        kept = [r for r in part.pop("externalReferences", ()) if not r["url"].startswith("file:")]
        if kept:
            part["externalReferences"] = kept
    return bom


def main(task, first, second):
    if task == "sbom":
        bom = clean(json.loads(Path(first).read_text("utf-8")))
        Path(second).write_text(json.dumps(bom, indent=2) + "\n", "utf-8")
        print(f"{len(bom['components'])} components in {Path(second).name}")
        return GOOD
    status, lines = judge(read_report(first), read_report(second))
    print(*lines, sep="\n")
    return status


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
