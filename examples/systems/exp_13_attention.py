"""Experiment 13: attention, on the task of experiment 12 with the same sizes and batches.

A decoder that looks at the states of the encoder again in each step writes 20 digits backwards,
where one that has a fixed vector alone gets a third of them. Beyond the lengths of training both
fail in the end, the one with attention later.
"""

from __future__ import annotations

from reversal import accuracies


def run() -> dict:
    """Share of digits that are written right, by the length of the sequence."""
    found = {}
    for name, attention in (("attention", "additive"), ("fixed", None)):
        for length, share in accuracies(attention).items():
            found[f"{name}_{length}"] = share
    return found


if __name__ == "__main__":
    print(run())
