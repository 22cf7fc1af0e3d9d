"""Every public forecaster, transform and splitter, found by introspection: none sees the future.

New classes are covered as soon as they are exported; `helpers/discovered.py` says how.
"""

import re

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

import discovered
from echocast.forecasting import LongForecaster, list_transforms
from echocast.testing import (
    check_causal,
    check_series_swap,
    check_splitter,
    check_transform_causal,
)

REGISTERED = list_transforms()  # before pages of the documentation add some of their own

N, H = 108, 3
TIMES = pd.date_range("2015-01-01", periods=N + H, freq="MS", name="time")
RNG = np.random.RandomState(0)
WAVE = 3 * np.sin(2 * np.pi * np.arange(N) / 12)
Y = pd.Series(20 + WAVE + RNG.randn(N), index=TIMES[:N], name="y")
X = pd.DataFrame({"x": RNG.randn(N + H), "z": RNG.randn(N + H)}, index=TIMES)
PANEL = pd.concat({"b": Y, "a": 3 * Y + RNG.randn(N), "c": Y[5:] ** 2}, names=["id", "time"])

FORECASTERS = discovered.forecasters()
TRANSFORMS = discovered.transforms()
SPLITTERS = discovered.splitters()
HEAVY = {"AutoESNForecaster"}  # takes seconds to fit; one poison has to do
# Raised as classes are added, so that a search that finds few of them cannot pass.
LEAST = {"forecasters": 22, "transforms": 8, "splitters": 2}


def has(name, parameter, value=None):
    params = FORECASTERS[name].get_params(deep=False)
    return parameter in params and value in (None, params[parameter])


TALLY = {"comparisons": 0, "values": 0}


def count(report):
    """The report, added to what is printed at the end."""
    TALLY["comparisons"] += report.n_comparisons
    TALLY["values"] += report.n_values
    return report


def refusal(run):
    """The text of the error that a run ends with, or an empty one."""
    try:
        run()
    except (TypeError, ValueError) as error:
        return str(error)
    return ""


def takes(name, **settings):
    """Whether the constructor knows a parameter, and the class the value."""
    try:
        clone(FORECASTERS[name]).set_params(**settings).fit(PANEL)
    except ValueError:
        return False
    return True


def test_what_was_found(capsys):
    found = {"forecasters": FORECASTERS, "transforms": TRANSFORMS, "splitters": SPLITTERS}
    with capsys.disabled():
        print("\n" + "; ".join(f"{len(v)} {k} ({', '.join(v)})" for k, v in found.items()))
    for kind, classes in found.items():
        assert len(classes) >= LEAST[kind]
    assert len({type(t) for t in TRANSFORMS.values()}) >= len(REGISTERED)


@pytest.mark.parametrize("name", FORECASTERS)
def test_forecasts_do_not_see_the_future(name):
    poisons = ["huge"] if name in HEAVY else None
    report = count(
        check_causal(FORECASTERS[name], Y, horizon=H, cutoffs=1, level=80, poisons=poisons)
    )
    assert report.n_comparisons >= (3 if name in HEAVY else 9)
    assert report.refused == ()


@pytest.mark.parametrize("name", FORECASTERS)
def test_forecasts_with_exogenous_columns_do_not_see_the_future(name):
    model = clone(FORECASTERS[name])
    if has(name, "past_columns"):
        model.set_params(past_columns=["z"])
    if refusal(lambda: model.fit(Y, X)):
        assert re.search("X|exogenous", refusal(lambda: model.fit(Y, X)))
        return  # those that take none say so
    report = count(
        check_causal(model, Y, X[:N], horizon=H, cutoffs=1, poisons=["huge", "permuted"])
    )
    assert report.n_comparisons >= 6


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow if n in HEAVY else ()) for n in FORECASTERS]
)
def test_panels_do_not_see_the_future(name):
    poisons = ["huge"] if name in HEAVY else ["huge", "permuted"]
    report = count(check_causal(FORECASTERS[name], PANEL, horizon=H, cutoffs=1, poisons=poisons))
    assert report.n_comparisons >= 3


@pytest.mark.parametrize("name", FORECASTERS)
def test_series_of_a_panel_do_not_mix(name):
    report = count(check_series_swap(FORECASTERS[name], PANEL, horizon=H))
    assert report.n_comparisons >= 6


# What is pooled by default has been checked by the tests above.
@pytest.mark.parametrize(
    "name",
    [n for n in FORECASTERS if has(n, "pooling") and not has(n, "pooling", "global")],
)
def test_pooled_forecasts_do_not_depend_on_the_order(name):
    if not takes(name, pooling="global"):
        pytest.skip("no pooling for these settings")
    model = clone(FORECASTERS[name]).set_params(pooling="global")
    assert count(check_series_swap(model, PANEL, horizon=H)).n_comparisons >= 6
    report = count(check_causal(model, PANEL, horizon=H, cutoffs=1, poisons=["huge"]))
    assert report.n_comparisons >= 3


def long(panel):
    """A panel as the long frame of `LongForecaster`."""
    return panel.rename_axis(["unique_id", "ds"]).rename("y").reset_index()


def test_long_frames_do_not_see_the_future_and_do_not_mix_series():
    models = {"naive": discovered.NAIVE, "esn": discovered.ESN}
    settings = {"h": H, "n_windows": 2, "step_size": H, "level": [80]}

    def windows(frame):
        forecaster = LongForecaster(models, freq="MS")
        return forecaster.cross_validation(frame, **settings).drop(columns="y")

    frame = long(PANEL)
    clean = windows(frame)
    for poison in (lambda y: np.full_like(y, 1e9), lambda y: -y):
        dirty = frame.copy()
        late = dirty["ds"] >= TIMES[N - H]
        dirty.loc[late, "y"] = poison(dirty.loc[late, "y"].to_numpy())
        pd.testing.assert_frame_equal(windows(dirty), clean, check_exact=True)
    forecast = LongForecaster(models, freq="MS").fit(frame).predict(H, level=[80])
    shuffled = frame.sample(frac=1, random_state=0)
    stranger = long(pd.concat({"d": Y * 1e6}, names=["id"]))
    more = LongForecaster(models, freq="MS").fit(pd.concat([shuffled, stranger]))
    found = more.predict(H, level=[80]).query("unique_id != 'd'").reset_index(drop=True)
    pd.testing.assert_frame_equal(found, forecast, check_exact=True)


@pytest.mark.parametrize("name", TRANSFORMS)
def test_transforms_do_not_see_the_future(name):
    wide = pd.DataFrame({"a": Y, "b": Y**2})
    report = count(check_transform_causal(TRANSFORMS[name], wide, season_length=12))
    assert report.n_comparisons + len(report.refused) == 16
    assert report.n_comparisons >= 8


@pytest.mark.parametrize("name", SPLITTERS)
@pytest.mark.parametrize("data", ["series", "panel"])
def test_splitters_do_not_see_the_future(name, data):
    rows = {"series": X[:N], "panel": PANEL}[data]
    said = refusal(lambda: list(SPLITTERS[name].split(rows)))
    if said:
        assert re.search("MultiIndex|panel", said)
        return  # a splitter for the other kind says so
    assert count(check_splitter(SPLITTERS[name], rows)).n_comparisons >= 4


def test_how_much_was_compared(capsys):
    """Runs after the others, in the order of the file."""
    with capsys.disabled():
        print(f"\n{TALLY['comparisons']} comparisons of {TALLY['values']:,} values, all the same")
    assert TALLY["comparisons"] == 0 or TALLY["values"] > TALLY["comparisons"]
