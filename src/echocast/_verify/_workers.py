"""The row about clusters: workers that are killed change no bit."""

from __future__ import annotations

import logging
import os
import signal
import tempfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from ._figures import Figure, figure, printed, row, skipped


def _loaders(parts, folder, wanted):
    """Functions that give the parts; the one of part `wanted` first kills its worker, once."""

    def loader(k):
        def load():
            mark = Path(folder) / f"killed-{wanted}"
            if k == wanted and not mark.exists():
                mark.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return parts[k]

        return load

    return [loader(k) for k in range(len(parts))]


@row("worker kills", "workers")
def worker_kills(seed: int, full: bool) -> Figure:
    """Workers of a Dask cluster killed while they fit: coefficients to the last bit.

    In a process of its own, like the fit of a user: what other rows leave behind has no part.
    """
    if not (find_spec("dask") and find_spec("distributed")):
        return skipped("extra 'dask' absent")
    if not hasattr(signal, "SIGKILL"):
        return skipped("no signals to kill a process with on this system")
    kills = 12 if full else 2
    code = f"from {__name__} import fits_with_kills; print(*fits_with_kills({seed}, {kills}))"
    killed, different = map(int, printed(code).split()[-2:])
    if killed < kills:
        return skipped("the worker was not killed")
    return figure(f"{kills} kills", f"{different} fits with other coefficients", different)


def fits_with_kills(seed: int, kills: int) -> tuple[int, int]:
    """How many workers were killed, and how many fits then had other coefficients."""
    import dask
    import distributed

    from echocast.reservoir import ESNRegressor, fit_distributed

    rng = np.random.RandomState(seed)
    walks = [rng.standard_normal((n + 1, 2)).cumsum(axis=0) / 10 for n in (80, 120, 60, 150, 90)]
    parts = [(u[:-1], u[1:]) for u in walks]
    expected = fit_distributed(ESNRegressor(15, random_state=seed), parts).coef_
    killed, different = 0, 0
    settings = {
        "distributed.logging": {"distributed": "critical"},
        # A local cluster gives up a worker that is away so long after it was killed: if it is
        # killed again just then, it is not started any more.
        "distributed.deploy.lost-worker-timeout": "1h",
    }
    with (
        dask.config.set(settings),
        tempfile.TemporaryDirectory() as base,
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            dashboard_address=":0",
            silence_logs=logging.CRITICAL,
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        for k in range(kills):
            client.wait_for_workers(2, timeout=60)
            folder = Path(base) / str(k)
            folder.mkdir()
            loaders = _loaders(parts, str(folder), k % len(parts))
            found = fit_distributed(ESNRegressor(15, random_state=seed), loaders, client)
            killed += any(folder.iterdir())
            different += not np.array_equal(found.coef_, expected)
    return killed, different
