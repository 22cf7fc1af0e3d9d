"""The row about bad inputs: each is refused by name, warned of, or handled as documented."""

from __future__ import annotations

from ._figures import Figure, figure, row


@row("bad inputs", "inputs")
def bad_inputs(seed: int, full: bool) -> Figure:
    """The catalogue of `echocast.testing` on all entry points; a share of it without --full."""
    from echocast.testing import run_bad_inputs

    counts = run_bad_inputs(seed, None if full else 200)
    names = ("SILENT", "OBSCURE", "DIED", "HUNG")
    bad = sum(counts.outcomes[name] for name in names)
    found = ", ".join(f"{counts.outcomes[name]} {name.lower()}" for name in names)
    return figure(f"{counts.n_trials:,} tried", found, bad)
