"""Observed order of convergence of a numerical method."""

import numpy as np


def observed_order(error_of, counts):
    """Slope of log error against log step, by least squares over runs with `counts` steps."""
    errors = np.array([error_of(n) for n in counts])
    return -np.polyfit(np.log(counts), np.log(errors), 1)[0]
