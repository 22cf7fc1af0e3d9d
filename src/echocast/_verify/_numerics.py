"""Rows about numbers: states, ridge systems, gradients, degenerate series, closed loops."""

from __future__ import annotations

import warnings

import numpy as np

from ._figures import Figure, figure, row, worst_of


def slow_states(esn, U):
    """States by the textbook's formula, one neuron and one step at a time."""
    W, W_in, b = np.asarray(_dense(esn.W_)), np.asarray(_dense(esn.W_in_)), esn.b_
    leak = np.broadcast_to(np.asarray(esn.leak_rate, dtype=float), (len(W),))
    state, states = np.zeros(len(W)), []
    for u in U:
        total = np.array([b[i] + W_in[i] @ u + W[i] @ state for i in range(len(W))])
        state = (1 - leak) * state + leak * np.tanh(total)
        states.append(state)
    return np.array(states)


def _dense(matrix):
    return matrix.toarray() if hasattr(matrix, "toarray") else matrix


@row("states", "numerics")
def states(seed: int, full: bool) -> Figure:
    """Compiled states against a plain loop, over topologies and settings."""
    from echocast.reservoir import ESNRegressor, topologies

    rng = np.random.RandomState(seed)
    errors = []
    for name in topologies():
        if name == "custom":
            continue
        for leak_rate in (1.0, 0.3):
            U = rng.standard_normal((60, 2))
            esn = ESNRegressor(20, topology=name, leak_rate=leak_rate, random_state=seed)
            esn.fit(U, U[:, :1])
            expected = slow_states(esn, U)
            errors.append(np.abs(esn.transform(U) - expected).max())
    worst = worst_of(errors)
    return figure(f"{len(errors)} reservoirs", f"largest difference {worst:.1e}", worst, 1e-12)


def hard_system(rng, condition, n=120, p=30):
    """Features with singular values down to 1 / condition, and targets of a known readout."""
    left = np.linalg.qr(rng.standard_normal((n, p)))[0]
    right = np.linalg.qr(rng.standard_normal((p, p)))[0]
    S = left * np.logspace(0, -np.log10(condition), p) @ right.T
    return S, S @ rng.standard_normal((p, 1)) + 0.01 * rng.standard_normal((n, 1))


def fit_rows(S, Y, alpha, solver="auto"):
    """Readout of rows given in one block, and whether a warning told of lost directions."""
    from echocast.exceptions import IllConditionedWarning
    from echocast.reservoir._readout import fit_readout

    shape = S.shape[1], Y.shape[1]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit = fit_readout(lambda: iter([(S, Y, None)]), *shape, alpha=alpha, solver=solver)
    return fit, any(issubclass(w.category, IllConditionedWarning) for w in caught)


def hard_fits(seed, full, solver):
    """(condition, alpha, error, residuals, largest target) of fits that no warning came with."""
    rng = np.random.RandomState(seed)
    for _ in range(20 if full else 4):
        for condition in (1e2, 1e5, 1e8, 1e11, 1e14):
            for alpha in (0.0, 1e-14, 1e-10, 1e-6, 1.0):
                S, Y = hard_system(rng, condition)
                fit, said = fit_rows(S, Y, alpha, solver)
                exact = slow_ridge(S, Y, alpha)
                error = S @ fit.coef.T + fit.intercept - exact
                yield condition, alpha, error, Y - exact, said


@row("ill-conditioned ridge", "numerics")
def ridge(seed: int, full: bool) -> Figure:
    """Fitted values by the QR factor against an SVD of the centred features.

    Any rounding of the features turns their span by eps times their condition number, so the error
    is given in units of that; normal equations have the square of the condition number in it.
    Where a warning tells of lost directions, which of them are lost is a matter of rounding; a
    warning without need counts as a miss.
    """
    errors, warned, n = [], 0, 0
    for condition, alpha, error, residual, said in hard_fits(seed, full, "qr"):
        felt = 1 / np.sqrt(condition**-2 + alpha)  # the largest singular value is 1
        unit = np.finfo(float).eps * max(felt, 1) * max(np.abs(residual).max(), 1e-2)
        if not said:
            errors.append(np.abs(error).max() / unit)
        elif felt < 1e12:
            errors.append(np.inf)
        warned += said
        n += 1
    worst = worst_of(errors)
    found = f"worst error {worst:.1f} eps x condition, {warned} warned of"
    return figure(f"{n} systems", found, worst, 100)


@row("choice of the solver", "numerics")
def solver(seed: int, full: bool) -> Figure:
    """What ``solver="auto"`` loses where it takes normal equations, as a share of the residuals."""
    shares, n = [], 0
    for condition, _, error, residual, said in hard_fits(seed, full, "auto"):
        if not said:
            shares.append(float(np.linalg.norm(error) / np.linalg.norm(residual)))
        elif condition < 1e8:
            shares.append(np.inf)  # a warning without need
        n += 1
    worst = worst_of(shares)
    return figure(f"{n} systems", f"at most {worst:.1e} of the residuals", worst, 1e-2)


def slow_ridge(S, Y, alpha):
    """Fitted values by the SVD of the centred features."""
    centre, mean = S.mean(axis=0), Y.mean(axis=0)
    U, s, _ = np.linalg.svd(S - centre, full_matrices=False)
    keep = s > s[0] * len(S) * np.finfo(float).eps
    shrink = np.where(keep, s**2 / np.where(keep, s**2 + alpha, 1), 0)
    return mean + (U * shrink) @ (U.T @ (Y - mean))


@row("offsets", "numerics")
def offsets(seed: int, full: bool) -> Figure:
    """Columns far from zero, whole and in merged parts: error of the coefficients."""
    from echocast.reservoir._readout import RidgeFactor, solve_factor

    rng = np.random.RandomState(seed)
    errors = []
    for power in range(9):
        S = rng.standard_normal((400, 8))
        coef = rng.standard_normal((1, 8))
        Y, S = S @ coef.T + 3, S + 10.0**power
        parts = [RidgeFactor(8, 1).update(S[k : k + 50], Y[k : k + 50]) for k in range(0, 400, 50)]
        merged = parts[0]
        for part in parts[1:]:
            merged = merged.merge(part)
        for fit in (fit_rows(S, Y, 0.0)[0], solve_factor(merged, alpha=0.0)):
            errors.append(np.abs(fit.coef - coef).max())
    worst = worst_of(errors)
    found = f"offsets to 1e8: worst coefficient error {worst:.1e}"
    return figure(f"{len(errors)} fits", found, worst, 1e-6)


@row("scales", "numerics")
def scales(seed: int, full: bool) -> Figure:
    """Targets times 10^k: the fit times 10^k, never something else; from 1e150 on also an error."""
    from echocast.reservoir import ESNRegressor

    rng = np.random.RandomState(seed)
    U = rng.standard_normal((200, 1))
    y = np.roll(U[:, 0], 1)
    esn = ESNRegressor(30, alpha=1e-6, random_state=seed)
    plain = esn.fit(U, y).predict(U)
    wrong, refused, powers = 0, 0, range(-300, 301, 20 if full else 60)
    for power in powers:
        factor = 10.0**power
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                scaled = esn.fit(U, y * factor).predict(U) / factor
        except ValueError:
            refused += 1
            wrong += abs(power) < 150
            continue
        wrong += not np.allclose(scaled, plain, rtol=1e-6, atol=1e-8)
    return figure(f"{len(powers)} scales", f"{wrong} wrong, {refused} refused", wrong)


def loss_and_gradient(network, X, y, weights=None):
    """Mean loss, weights, and the gradient: what a step of plain descent at rate 1 takes off."""
    settings = {"solver": "sgd", "momentum": 0.0, "learning_rate": "constant", "max_norm": None}
    network.set_params(**settings, learning_rate_init=1.0, max_iter=0, dtype="float64")
    if weights is not None:
        network.set_params(weight_init=weights)
    network.fit(X, y)
    before = {name: values.copy() for name, values in network.params_.items()}
    network.partial_fit(X, y)
    return network.loss_, before, {name: before[name] - network.params_[name] for name in before}


@row("gradients", "numerics")
def gradients(seed: int, full: bool) -> Figure:
    """Backpropagation through time against differences of fourth order of the loss."""
    from echocast.reservoir import RNNRegressor

    rng = np.random.RandomState(seed)
    X = [rng.standard_normal((n, 2)) for n in (9, 6, 7)]
    y = [rng.standard_normal((len(x), 1)) for x in X]
    errors, h = [], 1e-4
    for cell in ("tanh", "lstm", "gru"):
        for layers in ((5,), (4, 3)):
            network = RNNRegressor(cell=cell, hidden_layer_sizes=layers, random_state=seed)
            _, weights, grads = loss_and_gradient(network, X, y)
            for _ in range(20 if full else 4):
                way = {name: rng.standard_normal(v.shape) for name, v in weights.items()}

                def loss(s, way=way, weights=weights, network=network):
                    moved = {name: v + s * way[name] for name, v in weights.items()}
                    return loss_and_gradient(network, X, y, moved)[0]

                slope = (8 * (loss(h) - loss(-h)) - (loss(2 * h) - loss(-2 * h))) / (12 * h)
                exact = sum((grads[name] * way[name]).sum() for name in weights)
                errors.append(abs(slope - exact) / max(abs(exact), 1e-3))
    worst = worst_of(errors)
    return figure(f"{len(errors)} directions", f"worst relative error {worst:.1e}", worst, 1e-6)


@row("degenerate series", "numerics")
def degenerate(seed: int, full: bool) -> Figure:
    """Constant and almost constant series are forecast as such."""
    from echocast.forecasting import ESNForecaster

    wrong = n = 0
    for level in (0.0, 1.0, -3.2, 1e6, 1e-6):
        for wiggle in (0.0, 1e-12):
            y = level + wiggle * abs(level) * np.sin(np.arange(80.0))
            n += 1
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = ESNForecaster(20, random_state=seed).fit(y).predict(10)
            span = max(abs(level), 1e-300)
            wrong += not (np.abs(np.asarray(found) - level) <= 1e-6 * span).all()
    return figure(f"{n} series", f"{wrong} forecasts off by more than 1e-6", wrong)


@row("free run", "numerics")
def free_run(seed: int, full: bool) -> Figure:
    """Closed loops stay finite and within the stated bound, with hostile readouts too."""
    from echocast.datasets import mackey_glass
    from echocast.reservoir import ESNRegressor
    from echocast.reservoir._generate import output_bound

    steps = 1_000_000 if full else 100_000
    u = mackey_glass(1200, random_state=seed).reshape(-1, 1)
    u = (u - u.mean()) / u.std()
    # Without the inputs among the features the outputs have a bound whatever the coefficients are.
    esn = ESNRegressor(30, include_input=False, random_state=seed).fit(u[:-1], u[1:])
    shares = []
    for factor in (1.0, 1e3):
        esn.coef_ = esn.coef_ * factor
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it leaves the range of the data
            path = esn.generate(steps // 2)
        shares.append(np.abs(path).max() / output_bound(esn).max())  # NaN where both are infinite
        if not np.isfinite(output_bound(esn)).all():
            shares.append(np.inf)
    share = worst_of(shares)
    return figure(f"{2 * (steps // 2):,} steps", f"at most {share:.2f} of the bound", share, 1.0)
