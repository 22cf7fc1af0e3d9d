"""How the learning rate and the share of teacher forcing change during training."""

from __future__ import annotations

import math
from collections.abc import Callable

from scipy.special import expit, lambertw

from echocast._checks import check_number, check_option

__all__ = ["FORCINGS", "SCHEDULES", "forcing_probability", "learning_rate_at"]

SCHEDULES = ("constant", "cosine", "invscaling", "linear")
FORCINGS = ("exponential", "inverse_sigmoid", "linear")

# The network must have some training on its own outputs alone.
_FORCED_SHARE = 0.71
_EXPONENTIAL_END = 0.01


def learning_rate_at(
    schedule: str,
    init: float,
    t: int,
    n_total: int,
    *,
    power_t: float = 0.5,
    warmup: int = 0,
    floor: float = 0.05,
) -> float:
    """Return the learning rate of one update.

    Parameters
    ----------
    schedule : {"linear", "cosine", "constant", "invscaling"}
        "linear" and "cosine" fall from `init` at the first update to ``floor * init`` at the
        last; "invscaling" is ``init / (t + 1) ** power_t``.
    init : float
        Highest rate.
    t : int, >= 0
        Updates done before this one. Beyond `n_total` the rate stays at its end.
    n_total : int
        Updates in the whole training.
    power_t : float
    warmup : int, >= 0
        Updates that lead up to `init` in equal steps; the schedule begins after them.
    floor : float in [0, 1]

    Returns
    -------
    rate : float

    Examples
    --------
    >>> from echocast.reservoir.rnn._schedules import learning_rate_at
    >>> [round(learning_rate_at("linear", 1.0, t, 5, floor=0.2), 3) for t in range(5)]
    [1.0, 0.8, 0.6, 0.4, 0.2]
    """
    check_option("schedule", schedule, "learning_rate_at", SCHEDULES)
    if t < warmup:
        return init * (t + 1) / (warmup + 1)
    done = t - warmup
    if schedule == "constant":
        return float(init)
    if schedule == "invscaling":
        return init / (done + 1) ** power_t
    share = min(done / max(n_total - 1 - warmup, 1), 1.0)
    left = 1.0 - share if schedule == "linear" else 0.5 * (1.0 + math.cos(math.pi * share))
    return init * (floor + (1.0 - floor) * left)


def forcing_probability(kind: str | float | Callable[[int], float], k: int, n_total: int) -> float:
    r"""Return the probability that a training input is the target rather than the own output.

    Parameters
    ----------
    kind : {"linear", "exponential", "inverse_sigmoid"}, float in [0, 1] or callable(k)
        With K = `n_total`:

        - "linear" falls from 1 to 0 at k = 0.71 K and stays there;
        - "exponential" is :math:`c^k`, which is 0.01 at 0.71 K;
        - "inverse_sigmoid" is :math:`q / (q + \exp(k / q))` with the q for which it is 1/2 at
          K / 2; it starts at q / (q + 1) and ends as far from 0.

        A float is constant: 1 is teacher forcing, 0 free running.
    k : int, >= 0
        Updates done before this one.
    n_total : int
        Updates in the whole training.

    Returns
    -------
    probability : float

    References
    ----------
    .. [1] S. Bengio, O. Vinyals, N. Jaitly, N. Shazeer, "Scheduled Sampling for Sequence
       Prediction with Recurrent Neural Networks", 2015, sec. 2.4.

    Examples
    --------
    >>> from echocast.reservoir.rnn._schedules import forcing_probability
    >>> [round(forcing_probability("linear", k, 100), 2) for k in (0, 35.5, 71, 100)]
    [1.0, 0.5, 0.0, 0.0]
    """
    if callable(kind) or not isinstance(kind, str):
        name, value = ("(k)", kind(k)) if callable(kind) else ("", kind)
        return float(
            check_number(f"teacher_forcing{name}", value, f"update k={k}", low=0.0, high=1.0)
        )
    check_option("kind", kind, "forcing_probability", FORCINGS)
    n_total = max(n_total, 1)
    share = k / (_FORCED_SHARE * n_total)
    if kind == "linear":
        return max(0.0, 1.0 - share)
    if kind == "exponential":
        return _EXPONENTIAL_END**share
    # One half is where k = q log q, which the Lambert function inverts.
    log_q = lambertw(n_total / 2.0).real
    return float(expit(log_q - k * math.exp(-log_q)))
