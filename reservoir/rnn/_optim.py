"""Optimisers over the flat parameter vector, clipping of its gradient, and L-BFGS."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike
from scipy.optimize import OptimizeResult, minimize

from echocast._checks import check_flag, check_number, check_option

__all__ = ["SOLVERS", "clip_gradient", "make_optimizer", "minimise_lbfgs"]

SOLVERS = ("adam", "rmsprop", "sgd")


def make_optimizer(
    solver: str,
    size: int,
    dtype: DTypeLike,
    *,
    momentum: float = 0.9,
    nesterovs_momentum: bool = True,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-8,
    rho: float = 0.99,
    weight_decay: float = 0.0,
    decay_mask: np.ndarray | None = None,
) -> Adam | SGD | RMSprop:
    """Return an optimiser whose ``step(theta, grad, lr)`` updates `theta` in place.

    Parameters
    ----------
    solver : {"adam", "rmsprop", "sgd"}
        "adam" and "rmsprop" are PyTorch's (`epsilon` is added to the root of the corrected
        second moment, RMSprop has no momentum), "sgd" is scikit-learn's (the learning rate is a
        factor within the velocity; at a constant rate PyTorch's is the same).
    size : int
        Length of the parameter vector.
    dtype : float64 or float32
        Of `theta` and `grad`.
    momentum : float in [0, 1), nesterovs_momentum : bool
        Of "sgd".
    beta_1, beta_2 : float in [0, 1)
        Of "adam".
    epsilon : float, > 0
        Of "adam" and "rmsprop".
    rho : float in [0, 1)
        Share of the mean square that "rmsprop" keeps.
    weight_decay : float, >= 0
        Each step first multiplies by ``1 - lr * weight_decay``, apart from the gradient; so
        "adam" with it is PyTorch's AdamW.
    decay_mask : bool ndarray of shape (size,), default=None
        Entries that decay; None is all.

    Returns
    -------
    optimizer : object
        With the number of steps taken, `t`, and its moments as arrays. It can be pickled and
        goes on where it was.

    Examples
    --------
    >>> import numpy as np
    >>> from echocast.reservoir.rnn._optim import make_optimizer
    >>> theta = np.array([1.0, -2.0])
    >>> make_optimizer("sgd", 2, np.float64, momentum=0.0).step(theta, theta.copy(), 0.5)
    >>> theta
    array([ 0.5, -1. ])
    """
    owner = "make_optimizer"
    check_option("solver", solver, owner, SOLVERS)
    shares = {"momentum": momentum, "beta_1": beta_1, "beta_2": beta_2, "rho": rho}
    for name, value in shares.items():
        check_number(name, value, owner, low=0.0, high=1.0, closed="left")
    check_flag("nesterovs_momentum", nesterovs_momentum, owner)
    check_number("epsilon", epsilon, owner, low=0.0, closed="neither")
    check_number("weight_decay", weight_decay, owner, low=0.0, closed="left")
    shrink = _Decay(size, weight_decay, decay_mask)
    if solver == "adam":
        return Adam(size, dtype, shrink, float(beta_1), float(beta_2), float(epsilon))
    if solver == "rmsprop":
        return RMSprop(size, dtype, shrink, float(rho), float(epsilon))
    return SGD(size, dtype, shrink, float(momentum), bool(nesterovs_momentum))


class _Decay:
    """Decay of weights that does not pass through the gradient (Loshchilov and Hutter, 2019)."""

    def __init__(self, size, weight_decay, mask):
        self.rate = float(weight_decay)
        self.mask = np.ones(size, dtype=np.bool_) if mask is None else np.asarray(mask)
        if self.mask.shape != (size,) or self.mask.dtype != np.bool_:
            raise ValueError(
                f"`decay_mask` must be a bool array of shape ({size},), got "
                f"{self.mask.dtype} of shape {self.mask.shape}."
            )

    def __call__(self, theta, lr):
        if self.rate > 0.0:
            from . import _update

            _update.decay(theta, self.mask, lr * self.rate)


class Adam:
    """Kingma and Ba, "Adam: A Method for Stochastic Optimization", 2015, algorithm 1."""

    def __init__(self, size, dtype, shrink, beta_1, beta_2, epsilon):
        self.t = 0
        self.m = np.zeros(size, dtype=dtype)
        self.v = np.zeros(size, dtype=dtype)
        self._shrink = shrink
        self._settings = (beta_1, beta_2, epsilon)

    def step(self, theta: np.ndarray, grad: np.ndarray, lr: float) -> None:
        from . import _update

        _check_vectors(self.m, theta, grad)
        self.t += 1
        self._shrink(theta, lr)
        _update.adam(theta, grad, self.m, self.v, self.t, float(lr), *self._settings)


class SGD:
    """Gradient descent with momentum, in scikit-learn's form."""

    def __init__(self, size, dtype, shrink, momentum, nesterov):
        self.t = 0
        self.velocity = np.zeros(size, dtype=dtype)
        self._shrink = shrink
        self._settings = (momentum, nesterov)

    def step(self, theta: np.ndarray, grad: np.ndarray, lr: float) -> None:
        from . import _update

        _check_vectors(self.velocity, theta, grad)
        self.t += 1
        self._shrink(theta, lr)
        _update.sgd(theta, grad, self.velocity, float(lr), *self._settings)


class RMSprop:
    """Tieleman and Hinton, "Neural Networks for Machine Learning", 2012, lecture 6.5."""

    def __init__(self, size, dtype, shrink, rho, epsilon):
        self.t = 0
        self.v = np.zeros(size, dtype=dtype)
        self._shrink = shrink
        self._settings = (rho, epsilon)

    def step(self, theta: np.ndarray, grad: np.ndarray, lr: float) -> None:
        from . import _update

        _check_vectors(self.v, theta, grad)
        self.t += 1
        self._shrink(theta, lr)
        _update.rmsprop(theta, grad, self.v, float(lr), *self._settings)


def _check_vectors(moment, *vectors):
    """Compiled loops do not look at lengths, and would mix types silently."""
    for vector in vectors:
        if vector.shape != moment.shape or vector.dtype != moment.dtype:
            raise ValueError(
                f"The optimiser was made for {moment.dtype} vectors of shape {moment.shape}, "
                f"got {vector.dtype} of shape {vector.shape}."
            )


def clip_gradient(
    grad: np.ndarray, max_norm: float | None = None, clip_value: float | None = None
) -> float:
    """Clip a gradient in place and return its norm before.

    Parameters
    ----------
    grad : ndarray of shape (size,)
        All parameters' gradients together. Left alone if it holds NaN or infinity.
    max_norm : float, > 0, or None
        Where the Euclidean norm is above it, the gradient is scaled to that norm.
    clip_value : float, > 0, or None
        Entries are first clipped to [-clip_value, clip_value].

    Returns
    -------
    norm : float
        In float64; NaN or infinity tells the caller to skip the step. Finite entries have a
        finite norm even where their squares overflow.

    References
    ----------
    .. [1] R. Pascanu, T. Mikolov, Y. Bengio, "On the difficulty of training recurrent neural
       networks", 2013, algorithm 1.

    Examples
    --------
    >>> import numpy as np
    >>> from echocast.reservoir.rnn._optim import clip_gradient
    >>> grad = np.array([3.0, 4.0])
    >>> clip_gradient(grad, max_norm=1.0)
    5.0
    >>> grad
    array([0.6, 0.8])
    """
    from . import _update

    for name, value in (("max_norm", max_norm), ("clip_value", clip_value)):
        check_number(name, value, "clip_gradient", low=0.0, closed="neither", also=(None,))
    most, limit = (np.inf if value is None else float(value) for value in (max_norm, clip_value))
    return float(_update.clip(grad, most, limit))


def minimise_lbfgs(
    loss_and_grad: Callable[[np.ndarray], tuple[float, np.ndarray]],
    theta: np.ndarray,
    *,
    max_iter: int,
    max_fun: int,
    tol: float,
    callback: Callable[[np.ndarray, float], Any] | None = None,
) -> OptimizeResult:
    """Minimise a loss over all parameters at once by SciPy's L-BFGS-B.

    Parameters
    ----------
    loss_and_grad : callable(theta) -> (loss, grad)
        Given a vector of the type of `theta`; the gradient may be a buffer that is reused.
    theta : ndarray of shape (size,)
        Where to start; not modified.
    max_iter, max_fun : int, >= 1
        Largest numbers of iterations and, roughly, of evaluations.
    tol : float, >= 0
        Stop when no entry of the gradient is larger, as in scikit-learn's `MLPRegressor`. The
        loss alone stops it only where a step changes nothing beyond rounding.
    callback : callable(theta, loss) or None
        Called after each iteration; a true result stops.

    Returns
    -------
    result : OptimizeResult
        `x` has the type of `theta` and is the best point met: a line search that ends where the
        loss is not finite does not spoil it. `fun` is its loss.

    Examples
    --------
    >>> import numpy as np
    >>> from echocast.reservoir.rnn._optim import minimise_lbfgs
    >>> found = minimise_lbfgs(
    ...     lambda x: (((x - 3.0) ** 2).sum(), 2.0 * (x - 3.0)),
    ...     np.zeros(2), max_iter=10, max_fun=20, tol=1e-8,
    ... )
    >>> found.x
    array([3., 3.])
    """
    best_loss, best_theta = np.inf, theta.copy()
    last = base = (np.inf, np.zeros(theta.size))  # loss and gradient

    def evaluate(x):
        nonlocal best_loss, last, base
        point = x.astype(theta.dtype)
        loss, grad = loss_and_grad(point)
        loss, grad = float(loss), np.array(grad, dtype=np.float64)
        if not (np.isfinite(loss) and np.isfinite(grad).all()):
            # SciPy's line search is lost at NaN. As high as where it set out and with the
            # opposite slope, it takes the middle between.
            return base[0], -base[1]
        last = loss, grad
        if base[0] == np.inf:
            base = last
        if loss < best_loss:
            best_loss = loss
            best_theta[:] = point
        return loss, grad.copy()

    def after_iteration(intermediate_result):
        nonlocal base
        base = last
        if callback is None:
            return
        state = intermediate_result
        if callback(state.x.astype(theta.dtype), float(state.fun)):
            raise StopIteration

    result = minimize(
        evaluate,
        theta.astype(np.float64),
        jac=True,
        method="L-BFGS-B",
        callback=after_iteration,
        options={
            "maxiter": int(max_iter),
            "maxfun": int(max_fun),
            "gtol": float(tol),
            "ftol": 16.0 * float(np.finfo(theta.dtype).eps),
        },
    )
    result.x, result.fun = best_theta, best_loss
    return result
