"""The command that shows what is in a model file and whether it is whole."""

from __future__ import annotations

import argparse
import os

from echocast._cli import UsageError

__all__ = ["run_inspect"]


def run_inspect(arguments: argparse.Namespace) -> None:
    """Print class, parameters, arrays and versions of a model file, and compare its digests."""
    from echocast._files import inspect, verify
    from echocast.exceptions import ModelFileError

    try:
        found = inspect(arguments.file)
        digest = verify(arguments.file)
    except ModelFileError as error:
        raise UsageError(str(error)) from error
    except OSError as error:
        raise UsageError(f"{arguments.file} cannot be read ({error.strerror})") from error
    major, minor = found["format_version"]
    versions = ", ".join(f"{name} {text}" for name, text in found["written_by"].items())
    name = os.path.basename(arguments.file)
    print(f"{name}: {found['class']}, {found['size']:,} bytes, format {major}.{minor}")
    print(f"written by {versions}")
    _table("parameters", {key: repr(value) for key, value in found["params"].items()})
    _table("arrays", {key: _array(said) for key, said in found["arrays"].items()})
    print(f"\ndigests OK\nsha256 {digest}")


def _array(said: dict) -> str:
    return f"{said['dtype']} {tuple(said['shape'])}"


def _table(title: str, rows: dict[str, str]) -> None:
    if rows:
        width = max(map(len, rows))
        print(f"\n{title}")
        for key, text in rows.items():
            shown = text if len(text) <= 80 else f"{text[:77]}..."
            print(f"  {key:{width}}  {shown}".encode("ascii", "backslashreplace").decode())
