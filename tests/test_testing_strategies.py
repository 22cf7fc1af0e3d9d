"""Strategies for series, panels and hostile indexes, used on the package's own forecasters."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings

from echocast.forecasting import ESNForecaster, MarkovForecaster, NaiveForecaster
from echocast.testing.strategies import hostile_index, panels, series

QUICK = settings(max_examples=25, deadline=None)


@QUICK
@given(y=series())
def test_forecasts_go_on_where_any_series_ends(y):
    model = MarkovForecaster(2, n_boot=5, season_length=1, random_state=0).fit(y)
    forecast = model.predict(4)
    assert type(forecast.index) is type(y.index)
    assert forecast.index[0] > y.index[-1]
    assert forecast.name == y.name
    assert np.isfinite(forecast).all()


@QUICK
@given(y=series(min_size=30))
def test_a_network_scales_with_the_series(y):
    params = {"transforms": ["standardize"], "n_boot": 5, "random_state": 0}
    once = ESNForecaster(8, **params).fit(y).predict(2)
    scaled = ESNForecaster(8, **params).fit(4 * y).predict(2)
    np.testing.assert_allclose(scaled, 4 * once, rtol=1e-6, atol=1e-6 * np.abs(y).max())


@QUICK
@given(panel=panels())
def test_each_series_of_a_panel_is_forecast_as_if_alone(panel):
    together = NaiveForecaster("drift").fit(panel).predict(3)
    for label in panel.index.get_level_values(0).unique():
        alone = NaiveForecaster("drift").fit(panel.xs(label)).predict(3)
        np.testing.assert_array_equal(together.xs(label), alone)


@QUICK
@given(bad=hostile_index())
def test_hostile_indexes_are_refused_by_name(bad):
    fault, y = bad
    for forecaster in (NaiveForecaster(), ESNForecaster(6)):
        with pytest.raises((TypeError, ValueError), match="`y`"):
            forecaster.fit(y)
    assert isinstance(y, pd.Series)
    assert fault


def test_without_hypothesis_the_error_says_what_to_install(tmp_path):
    code = (
        "import sys; sys.modules['hypothesis'] = None\n"
        "import echocast.testing\n"
        "from echocast.testing.strategies import series\n"
        "try:\n    series()\n"
        "except ImportError as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == (
        "echocast.testing.strategies needs hypothesis: pip install hypothesis."
    ), done.stderr
