"""Each row of `echocast verify` misses its limit when what it measures is broken on purpose."""

import copy
import functools
import os
import pickle
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest

import echocast
from echocast import _checks, _files_write
from echocast._verify import _figures, _memory, _processes, _report, _workers
from echocast._verify._figures import measure, worst_of
from echocast.forecasting import ESNForecaster, NaiveForecaster
from echocast.reservoir import ESNRegressor, RNNRegressor, _base, _generate, _readout, _regressor

_report._load_rows()
ROWS = {row.name: row for row in _figures.ROWS}


def after(owner, name, change):
    """Break a function: `change(result, self)` is what it gives."""

    def broken(monkeypatch):
        whole = getattr(owner, name)

        @functools.wraps(whole)
        def wrapped(*args, **kwargs):
            return change(whole(*args, **kwargs), args[0] if args else None)

        monkeypatch.setattr(owner, name, wrapped)

    return broken


def instead(owner, name, function):
    return lambda monkeypatch: monkeypatch.setattr(owner, name, function)


def plain_fit(self, X, y, **more):
    """A fit that is no transaction: it writes to the estimator as it goes on."""
    self.coef_ = np.zeros((1, 11))
    ESNRegressor.fit.__wrapped__(self, X, y, **more)
    return self


def without(name):
    """Methods that leave an argument out."""

    def broken(monkeypatch):
        whole = ESNRegressor.predict

        def predict(self, X, **more):
            more.pop(name, None)
            return whole(self, X, **more)

        monkeypatch.setattr(ESNRegressor, "predict", predict)

    return broken


def normal_equations(monkeypatch):
    whole = _readout.fit_readout

    def fit_readout(*args, solver, **more):
        return whole(*args, solver="cholesky", **more)

    monkeypatch.setattr(_readout, "fit_readout", fit_readout)


def inexact_factors(monkeypatch):
    whole = _readout.solve_factor

    def solve_factor(*args, **more):
        fit = copy.copy(whole(*args, **more))
        object.__setattr__(fit, "coef", fit.coef + 1e-5)
        return fit

    monkeypatch.setattr(_readout, "solve_factor", solve_factor)


def shared_buffer(monkeypatch):
    whole = ESNRegressor.predict

    def predict(self, X, **more):
        self.__dict__["n"] = len(X)
        found = whole(self, X, **more)
        return found if self.__dict__["n"] == len(X) else found + 1

    monkeypatch.setattr(ESNRegressor, "predict", predict)


def refuses_all(monkeypatch):
    def fit(self, X, y, **more):
        if np.abs(y).max() != 0 and not 1e-3 < np.abs(y).max() < 1e3:
            raise ValueError("y is too large or too small")
        return whole(self, X, y, **more)

    whole = ESNRegressor.fit
    monkeypatch.setattr(ESNRegressor, "fit", fit)


def refuses_constants(monkeypatch):
    def fit(self, y, X=None):
        raise ValueError("y is constant")

    monkeypatch.setattr(ESNForecaster, "fit", fit)


def before_printed(monkeypatch, code):
    """Run code first in rows that have a process of their own."""
    whole = _figures.printed
    for module in (_memory, _workers):
        monkeypatch.setattr(module, "printed", lambda own: whole(code + own))


def keeps_rows(monkeypatch):
    code = (
        "from echocast.reservoir import ESNRegressor as E; kept, whole = [], E.partial_fit; "
        "E.partial_fit = lambda self, X, y: (kept.append(X), whole(self, X, y)); "
    )
    before_printed(monkeypatch, code)


def moved(found, model):
    for values in model.params_.values():
        values += 1e-5
    return found


def anything(file):
    return NaiveForecaster("mean").fit(np.arange(5.0))


def write(path, pieces, *, overwrite):
    """A file that is written where it stands."""
    with open(path, "wb") as file:
        for piece in pieces:
            file.write(piece)
            os.fsync(file.fileno())
    return Path(path)


def by_process(model, _):
    model.coef_ = model.coef_ + (os.getpid() != PID)
    return model


def other_coefficients(monkeypatch):
    code = (
        "from echocast import reservoir as r; whole, calls = r.fit_distributed, []\n"
        "def fit(*args):\n"
        "    model = whole(*args); calls.append(1); model.coef_ = model.coef_ + len(calls)\n"
        "    return model\n"
        "r.fit_distributed = fit\n"
    )
    before_printed(monkeypatch, code)


PID = os.getpid()


def many_threads(monkeypatch):
    for module in (_base, _regressor):
        monkeypatch.setattr(module, "determinate", lambda _: nullcontext())


def no_checks(monkeypatch):
    for function in (_checks.check_number, _checks.check_flag, _checks.check_option):
        monkeypatch.setattr(function, "__code__", (lambda *args, **more: None).__code__)


def in_new_processes(code):
    return instead(_processes, "_FIT", f"import os; {code}\n{_processes._FIT}")


BROKEN = {
    "causality of estimators": after(ESNRegressor, "predict", lambda p, _: p - p.mean()),
    "causality of forecasters": after(
        ESNForecaster, "fitted_values", lambda f, _: f.shift(-1).fillna(0.0)
    ),
    "chunks": without("initial_state"),
    "neighbours": after(ESNRegressor, "predict", lambda p, _: [q + 1e-9 * len(p) for q in p]),
    "states": after(ESNRegressor, "transform", lambda s, _: s + 1e-11),
    "states, NaN": after(ESNRegressor, "transform", lambda s, _: s * np.nan),
    "ill-conditioned ridge": normal_equations,
    "choice of the solver": normal_equations,
    "offsets": inexact_factors,
    "scales": after(ESNRegressor, "predict", lambda p, _: np.clip(p, -9.0, 9.0)),
    "scales, refused": refuses_all,
    "degenerate series": after(ESNForecaster, "predict", lambda p, _: p + 1e-3),
    "degenerate series, refused": refuses_constants,
    "free run": after(ESNRegressor, "generate", lambda p, _: p * 100),
    "free run, NaN": after(ESNRegressor, "generate", lambda p, _: p * np.nan),
    "free run, no bound": after(_generate, "output_bound", lambda b, _: b * np.inf),
    "truncated model": instead(echocast, "load", anything),
    "flipped bits": instead(echocast, "load", anything),
    "mutated model": instead(echocast, "load", anything),
    "hostile files": instead(echocast, "load", pickle.load),
    "failing disk": instead(_files_write, "write_atomically", write),
    "failing disk, unseen": instead(echocast, "save", lambda model, path: None),
    "16-thread predict": shared_buffer,
    "threads of BLAS": many_threads,
}
SLOW = {
    "gradients": after(RNNRegressor, "partial_fit", moved),
    "no place for a cache": in_new_processes("os.makedirs(os.environ['NUMBA_CACHE_DIR'], 511, 1)"),
    "streamed rows": keeps_rows,
    "processes": after(ESNRegressor, "fit", by_process),
    "bad inputs": no_checks,
    "interrupted fits": instead(ESNRegressor, "fit", plain_fit),
    "damaged kernel cache": in_new_processes(
        "import pathlib, pickle; folder = pathlib.Path(os.environ['NUMBA_CACHE_DIR']); "
        "[pickle.loads(p.read_bytes()) for p in folder.rglob('*.bin')]"
    ),
    "racing kernel cache": in_new_processes("print(os.getpid())"),
    "worker kills": other_coefficients,
}


def test_every_row_is_broken_once():
    assert {label.split(",")[0] for label in (*BROKEN, *SLOW)} == set(ROWS)


@pytest.mark.parametrize(
    "label", [*BROKEN, *(pytest.param(label, marks=pytest.mark.slow) for label in SLOW)]
)
def test_a_row_misses_when_its_promise_is_broken(label, monkeypatch):
    {**BROKEN, **SLOW}[label](monkeypatch)
    row = ROWS[label.split(",")[0]]
    found = measure(row, 0, row.full_only)
    assert found.passed is False, found


def test_no_number_is_the_worst_of_all():
    assert worst_of([]) == 0
    assert worst_of([1e-9, 3e-9]) == 3e-9
    assert np.isnan(worst_of([1e-9, np.nan, 2.0]))


def test_a_crash_of_a_new_process_is_a_miss_with_its_words(monkeypatch):
    in_new_processes("raise ValueError('no kernel')")(monkeypatch)
    found = measure(ROWS["damaged kernel cache"], 0, False)
    assert found.passed is False
    assert "ValueError: no kernel" in found.reason
