"""Tasks over many short sequences, by which trainable recurrent networks are judged."""

from __future__ import annotations

from typing import Any

import numpy as np

from echocast._checks import check_generator, check_number, refuse

__all__ = [
    "adding_problem",
    "copy_task",
    "logic_expressions",
    "repeat_copy_task",
    "reversal_task",
]


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


def _lengths(name: str, value: Any, owner: str, low: int) -> tuple[int, int]:
    """An int, or a pair of ints (smallest, largest), as a pair."""
    pair = value if isinstance(value, (tuple, list)) else (value, value)
    rule = f"an int >= {low} or a pair of such (smallest, largest)"
    if len(pair) != 2:
        refuse(name, owner, rule, value)
    for part in pair:
        if not isinstance(part, (int, np.integer)) or isinstance(part, bool) or part < low:
            refuse(name, owner, rule, value)
    if pair[0] > pair[1]:
        refuse(name, owner, rule, value)
    return int(pair[0]), int(pair[1])


def copy_task(
    n_sequences: int, length: Any, *, n_bits: int = 8, random_state: Any = None
) -> tuple[list, list, list]:
    r"""Copy task: read a sequence of random bits, then say it again from memory.

    After `length` rows of bits comes a mark, and during the next `length` rows, in which nothing
    is shown, the bits are due in the same order. Nothing can be guessed: the loss of who has
    forgotten is one bit for each bit.

    Parameters
    ----------
    n_sequences : int
        Sequences, drawn independently.
    length : int, or pair of int
        Rows of bits in each, at least 1; of a pair (smallest, largest) all are equally likely.
    n_bits : int, default=8
        Bits in a row.
    random_state : int, RandomState, Generator or None, default=None
        Source of the lengths, then of the bits; None draws anew at each call.

    Returns
    -------
    X : list of ndarray of shape (2 * length + 1, n_bits + 1)
        Bits, 0 or 1, and in the last column the mark, 1 in row `length`.
    y : list of ndarray of shape (2 * length + 1, n_bits)
        The bits, from row ``length + 1`` on; 0 before.
    weights : list of ndarray of shape (2 * length + 1,)
        1 where the bits are due, 0 elsewhere.

    Raises
    ------
    InvalidParameterError
        If a parameter has a forbidden type or value.

    References
    ----------
    .. [1] A. Graves, G. Wayne, I. Danihelka, "Neural Turing Machines" (2014), section 4.1.

    Examples
    --------
    >>> from echocast.datasets import copy_task
    >>> X, y, weights = copy_task(1, 2, n_bits=3, random_state=0)
    >>> X[0].astype(int)
    array([[0, 1, 1, 0],
           [0, 1, 1, 0],
           [0, 0, 0, 1],
           [0, 0, 0, 0],
           [0, 0, 0, 0]])
    >>> y[0][3:].astype(int), weights[0]
    (array([[0, 1, 1],
           [0, 1, 1]]), array([0., 0., 0., 1., 1.]))
    """
    return _recall(n_sequences, length, n_bits, random_state, "copy_task", backwards=False)


def reversal_task(
    n_sequences: int, length: Any, *, n_bits: int = 8, random_state: Any = None
) -> tuple[list, list, list]:
    r"""Reversal: read a sequence of random bits, then say it again from its end.

    Parameters
    ----------
    n_sequences : int
        Sequences, drawn independently.
    length : int, or pair of int
        Rows of bits in each, at least 1; of a pair (smallest, largest) all are equally likely.
    n_bits : int, default=8
        Bits in a row.
    random_state : int, RandomState, Generator or None, default=None
        Source of the lengths, then of the bits; None draws anew at each call.

    Returns
    -------
    X, y, weights : lists of ndarray
        As of `copy_task`, but the last row of bits is due first.

    Raises
    ------
    InvalidParameterError
        If a parameter has a forbidden type or value.

    References
    ----------
    .. [1] E. Grefenstette et al., "Learning to Transduce with Unbounded Memory" (2015), section
       4.1, with symbols.

    Examples
    --------
    >>> import numpy as np
    >>> from echocast.datasets import reversal_task
    >>> X, y, weights = reversal_task(1, (2, 5), n_bits=3, random_state=0)
    >>> due = weights[0] == 1
    >>> bool(np.array_equal(y[0][due], X[0][: due.sum(), :3][::-1]))
    True
    """
    return _recall(n_sequences, length, n_bits, random_state, "reversal_task", backwards=True)


def _recall(n_sequences, length, n_bits, random_state, owner, *, backwards):
    n = int(check_number("n_sequences", n_sequences, owner, low=1, integer=True))
    low, high = _lengths("length", length, owner, 1)
    k = int(check_number("n_bits", n_bits, owner, low=1, integer=True))
    rng = check_generator(random_state)
    X, Y, weights = [], [], []
    for size in rng.randint(low, high + 1, size=n).tolist():
        bits = rng.randint(0, 2, size=(size, k))
        n_steps, due = 2 * size + 1, slice(size + 1, None)
        x, y, weight = np.zeros((n_steps, k + 1)), np.zeros((n_steps, k)), np.zeros(n_steps)
        x[:size, :k], x[size, k] = bits, 1.0
        y[due], weight[due] = bits[::-1] if backwards else bits, 1.0
        X.append(x)
        Y.append(y)
        weights.append(weight)
    return X, Y, weights


def repeat_copy_task(
    n_sequences: int,
    length: Any,
    n_repeats: Any,
    *,
    n_bits: int = 8,
    random_state: Any = None,
) -> tuple[list, list, list]:
    r"""Repeat copy task: read a sequence of random bits, say it a given number of times, then stop.

    The number of repeats is shown as a value, in the row of the mark; after the last repeat an
    end mark is due, so the repeats have to be counted.

    Parameters
    ----------
    n_sequences : int
        Sequences, drawn independently.
    length : int, or pair of int
        Rows of bits in each, at least 1; of a pair (smallest, largest) all are equally likely.
    n_repeats : int, or pair of int
        How often the bits are due, likewise.
    n_bits : int, default=8
        Bits in a row.
    random_state : int, RandomState, Generator or None, default=None
        Source of the lengths, then of the numbers of repeats, then of the bits; None draws anew
        at each call.

    Returns
    -------
    X : list of ndarray of shape (length + 1 + n_repeats * length + 1, n_bits + 2)
        Bits, then a column with the mark, 1 in row `length`, and one with the number of repeats
        in the same row, standardised over the range of `n_repeats` (1 if that is a single one).
    y : list of ndarray of shape (length + 1 + n_repeats * length + 1, n_bits + 1)
        Bits, and the end mark in the last column of the last row.
    weights : list of ndarray
        1 for each row after the mark, 0 before.

    Raises
    ------
    InvalidParameterError
        If a parameter has a forbidden type or value.

    References
    ----------
    .. [1] A. Graves, G. Wayne, I. Danihelka, "Neural Turing Machines" (2014), section 4.2.

    Examples
    --------
    >>> from echocast.datasets import repeat_copy_task
    >>> X, y, weights = repeat_copy_task(1, 2, 3, n_bits=2, random_state=0)
    >>> X[0].shape, y[0].shape, weights[0]
    ((10, 4), (10, 3), array([0., 0., 0., 1., 1., 1., 1., 1., 1., 1.]))
    >>> y[0][3:].astype(int).T
    array([[0, 1, 0, 1, 0, 1, 0],
           [1, 0, 1, 0, 1, 0, 0],
           [0, 0, 0, 0, 0, 0, 1]])
    """
    owner = "repeat_copy_task"
    n = int(check_number("n_sequences", n_sequences, owner, low=1, integer=True))
    low, high = _lengths("length", length, owner, 1)
    fewest, most = _lengths("n_repeats", n_repeats, owner, 1)
    k = int(check_number("n_bits", n_bits, owner, low=1, integer=True))
    rng = check_generator(random_state)
    sizes = rng.randint(low, high + 1, size=n).tolist()
    counts = rng.randint(fewest, most + 1, size=n).tolist()
    possible = np.arange(fewest, most + 1)
    X, Y, weights = [], [], []
    for size, count in zip(sizes, counts):
        bits = rng.randint(0, 2, size=(size, k))
        n_steps = size + 1 + count * size + 1
        x, y, weight = np.zeros((n_steps, k + 2)), np.zeros((n_steps, k + 1)), np.zeros(n_steps)
        x[:size, :k], x[size, k] = bits, 1.0
        x[size, k + 1] = (count - possible.mean()) / possible.std() if fewest < most else 1.0
        y[size + 1 : -1, :k], y[-1, k] = np.tile(bits, (count, 1)), 1.0
        weight[size + 1 :] = 1.0
        X.append(x)
        Y.append(y)
        weights.append(weight)
    return X, Y, weights


def logic_expressions(
    n_expressions: int, depth: Any, *, negation: float = 0.2, random_state: Any = None
) -> tuple[list, np.ndarray]:
    r"""Nested expressions of "and", "or" and "not" over truth values, and what they come to.

    The tree decides: "and" and "or", true and false are equally likely everywhere, so tokens
    alone tell little of the value.

    Parameters
    ----------
    n_expressions : int
        Expressions, drawn independently.
    depth : int, or pair of int
        Operations above the deepest leaf; 0 is a truth value alone. Of a pair (smallest, largest)
        all are equally likely. One operand of each "and" and "or" is as deep as it can be, the
        other one of any depth up to that, and they stand in any order.
    negation : float in [0, 1], default=0.2
        Share of "not" among the operations.
    random_state : int, RandomState, Generator or None, default=None
        Source of everything, one expression after the other; None draws anew at each call.

    Returns
    -------
    X : list of nested tuples
        ``("and", operand, operand)``, ``("or", operand, operand)``, ``("not", operand)``, "T" and
        "F".
    y : ndarray of bool of shape (n_expressions,)
        The values.

    Raises
    ------
    InvalidParameterError
        If a parameter has a forbidden type or value.

    References
    ----------
    .. [1] S. R. Bowman, C. D. Manning, C. Potts, "Tree-structured composition in neural networks
       without tree-structured architectures" (2015), where the task is one of its kind.

    Examples
    --------
    >>> from echocast.datasets import logic_expressions
    >>> X, y = logic_expressions(3, (1, 2), random_state=1)
    >>> X[0], bool(y[0])
    (('or', 'F', ('and', 'T', 'T')), True)
    """
    owner = "logic_expressions"
    n = int(check_number("n_expressions", n_expressions, owner, low=1, integer=True))
    low, high = _lengths("depth", depth, owner, 0)
    check_number("negation", negation, owner, low=0, high=1)
    rng = check_generator(random_state)
    X, y = [], np.empty(n, dtype=bool)
    for i in range(n):
        expression, y[i] = _expression(rng, int(rng.randint(low, high + 1)), negation)
        X.append(expression)
    return X, y


def _expression(rng, depth, negation):
    """An expression of that depth, and its value."""
    if depth == 0:
        value = bool(rng.randint(2))
        return "FT"[value], value
    if rng.uniform() < negation:
        operand, value = _expression(rng, depth - 1, negation)
        return ("not", operand), not value
    operands = [
        _expression(rng, depth - 1, negation),
        _expression(rng, int(rng.randint(depth)), negation),
    ]
    if rng.randint(2):
        operands.reverse()
    (left, a), (right, b) = operands
    if rng.randint(2):
        return ("and", left, right), a and b
    return ("or", left, right), a or b
