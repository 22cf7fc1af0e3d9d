"""Tasks over many short sequences, by which trainable recurrent networks are judged."""

from __future__ import annotations

from typing import Any

import numpy as np

from echocast._checks import check_generator, check_number

__all__ = ["adding_problem"]


def adding_problem(
    n_sequences: int, n_steps: int, *, random_state: Any = None
) -> tuple[np.ndarray, np.ndarray]:
    r"""Adding problem: the sum of two marked numbers out of a long sequence.

    The first mark stands in the first half of the sequence, the second one in the second half.
    Who always answers 1, the mean, has a mean squared error of 1/6; a network gets below it only
    by carrying a number over many steps. (In [1]_ both marks come early and two more values of
    the second column mark the ends; here they are spread as in [2]_.)

    Parameters
    ----------
    n_sequences : int
        Sequences, drawn independently.
    n_steps : int
        Length of each, at least 2.
    random_state : int, RandomState, Generator or None, default=None
        Source of the numbers, then of the first marks, then of the second ones; None draws fresh
        numbers at each call.

    Returns
    -------
    X : ndarray of shape (n_sequences, n_steps, 2)
        Column 0: numbers, uniform on [0, 1). Column 1: 1 at the two marks, 0 elsewhere.
    y : ndarray of shape (n_sequences,)
        Sum of the two marked numbers, from 0 to 2.

    Raises
    ------
    InvalidParameterError
        If a parameter has a forbidden type or value.

    References
    ----------
    .. [1] S. Hochreiter, J. Schmidhuber, "Long short-term memory", Neural Computation 9 (1997),
       section 5.4.
    .. [2] Q. V. Le, N. Jaitly, G. E. Hinton, "A Simple Way to Initialize Recurrent Networks of
       Rectified Linear Units" (2015), section 4.1.

    Examples
    --------
    >>> import numpy as np
    >>> from echocast.datasets import adding_problem
    >>> X, y = adding_problem(1000, 50, random_state=0)
    >>> X.shape, y.shape
    ((1000, 50, 2), (1000,))
    >>> bool(np.allclose((X[:, :, 0] * X[:, :, 1]).sum(axis=1), y))
    True
    """
    owner = "adding_problem"
    n = int(check_number("n_sequences", n_sequences, owner, low=1, integer=True))
    n_steps = int(check_number("n_steps", n_steps, owner, low=2, integer=True))
    rng = check_generator(random_state)
    half, rows = n_steps // 2, np.arange(n)
    X = np.zeros((n, n_steps, 2))
    X[:, :, 0] = rng.uniform(size=(n, n_steps))
    first = rng.randint(0, half, size=n)
    second = rng.randint(half, n_steps, size=n)
    X[rows, first, 1] = X[rows, second, 1] = 1.0
    return X, X[rows, first, 0] + X[rows, second, 0]
