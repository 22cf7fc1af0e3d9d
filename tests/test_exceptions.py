"""Errors subclass what users already catch, and survive the trip from a worker process."""

import pickle

import pytest

from echocast import exceptions


@pytest.mark.parametrize("name", exceptions.__all__)
def test_every_class_is_documented_and_an_exception(name):
    found = getattr(exceptions, name)
    assert issubclass(found, Exception)
    assert found.__doc__


def test_bad_parameters_are_both_value_and_type_errors():
    assert issubclass(exceptions.InvalidParameterError, ValueError)
    assert issubclass(exceptions.InvalidParameterError, TypeError)


@pytest.mark.parametrize("name", [n for n in exceptions.__all__ if n.endswith("Warning")])
def test_one_filter_silences_every_warning(name):
    assert issubclass(getattr(exceptions, name), exceptions.EchocastWarning)


def test_diverged_forecast_says_where_and_what_to_do():
    error = exceptions.ForecastDivergedError(812, 3e305)
    assert isinstance(error, RuntimeError)
    assert "step 812" in str(error)
    assert "3e+305" in str(error)
    assert "Raise `alpha` or train on more data;" in str(error)  # every model can
    assert "for reservoirs also lower `spectral_radius`" in str(error)


def test_diverged_forecast_survives_pickling():
    error = pickle.loads(pickle.dumps(exceptions.ForecastDivergedError(7, 1e300)))
    assert (error.step, error.last_finite) == (7, 1e300)
