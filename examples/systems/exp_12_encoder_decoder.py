"""Experiment 12: an encoder hands all it has read to a decoder as one vector.

The task is to write 1 to 20 digits backwards. A vector of 64 numbers is enough for 5 of them, and
less and less so for more: what is beyond what it holds is not written right.
"""

from __future__ import annotations

from reversal import accuracies


def run() -> dict:
    """Share of digits that are written right, by the length of the sequence."""
    found = accuracies(None)
    return {f"length_{length}": share for length, share in found.items()} | {"chance": 0.1}


if __name__ == "__main__":
    print(run())
