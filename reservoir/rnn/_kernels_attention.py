"""Compiled steps of attention: scores, weights and the weighted mean of a memory, and back.

A memory of B sequences of at most T places has `keys` (B, T, k) and `values` (B, T, m); sequence b
has ``lengths[b]`` places, at least one, and what lies behind them is neither read nor written.
`queries` are (B, k), `alpha` (B, T) is zero behind the places, `means` are (B, m). The backward
kernels add to the gradients of keys and values, over all steps that looked at the memory.
"""

from __future__ import annotations

import math

from echocast._jit import SUMS, kernel

from ._kernels_activations import tanh

__all__ = ["additive_backward", "additive_forward", "dot_backward", "dot_forward"]


@kernel(fastmath=SUMS)
def _softmax(scores, n):
    """Turn the first `n` scores into weights, and put zeros behind them."""
    largest = scores[0]
    for j in range(1, n):
        largest = max(largest, scores[j])
    total = scores.dtype.type(0)
    for j in range(n):
        scores[j] = math.exp(scores[j] - largest)
        total += scores[j]
    for j in range(n):
        scores[j] /= total
    for j in range(n, scores.shape[0]):
        scores[j] = 0


@kernel(fastmath=SUMS)
def _dot(a, b):
    total = a.dtype.type(0)
    for i in range(a.shape[0]):
        total += a[i] * b[i]
    return total


@kernel(fastmath=SUMS)
def _mean(alpha, values, n, out):
    out[:] = 0
    for j in range(n):
        weight, row = alpha[j], values[j]
        for i in range(out.shape[0]):
            out[i] += weight * row[i]


@kernel(fastmath=SUMS)
def _back_to_scores(alpha, values, n, d_mean, d_values, d_scores):
    """Gradients of the scores, in `d_scores`, and of the values, from that of the mean."""
    total = alpha.dtype.type(0)
    for j in range(n):
        slope = _dot(d_mean, values[j])
        d_scores[j] = slope
        total += alpha[j] * slope
        weight, row = alpha[j], d_values[j]
        for i in range(row.shape[0]):
            row[i] += weight * d_mean[i]
    for j in range(n):
        d_scores[j] = alpha[j] * (d_scores[j] - total)


@kernel(fastmath=SUMS)
def additive_forward(queries, keys, v, values, lengths, hidden, alpha, means):
    """Scores v . tanh(query + key); `hidden` (B, T, k) keeps the hyperbolic tangents."""
    for b in range(keys.shape[0]):
        n, query = lengths[b], queries[b]
        for j in range(n):
            key, units = keys[b, j], hidden[b, j]
            for i in range(v.shape[0]):
                units[i] = tanh(query[i] + key[i])
            alpha[b, j] = _dot(v, units)
        _softmax(alpha[b], n)
        _mean(alpha[b], values[b], n, means[b])


@kernel(fastmath=SUMS)
def additive_backward(
    d_means, v, values, lengths, hidden, alpha, d_scores, d_queries, d_keys, d_values, d_v
):
    """Put the gradient of the queries into `d_queries`, add the others; `d_scores` is scratch."""
    one = v.dtype.type(1)
    d_queries[:] = 0
    for b in range(alpha.shape[0]):
        n, d_query = lengths[b], d_queries[b]
        _back_to_scores(alpha[b], values[b], n, d_means[b], d_values[b], d_scores)
        for j in range(n):
            slope, units, d_key = d_scores[j], hidden[b, j], d_keys[b, j]
            for i in range(v.shape[0]):
                d_v[i] += slope * units[i]
                d = slope * v[i] * (one - units[i] * units[i])
                d_key[i] += d
                d_query[i] += d


@kernel(fastmath=SUMS)
def dot_forward(queries, keys, scale, values, lengths, alpha, means):
    """Scores ``scale * query . key``."""
    for b in range(keys.shape[0]):
        n = lengths[b]
        for j in range(n):
            alpha[b, j] = scale * _dot(queries[b], keys[b, j])
        _softmax(alpha[b], n)
        _mean(alpha[b], values[b], n, means[b])


@kernel(fastmath=SUMS)
def dot_backward(
    d_means, queries, keys, scale, values, lengths, alpha, d_scores, d_queries, d_keys, d_values
):
    """Put the gradient of the queries into `d_queries`, add the others; `d_scores` is scratch."""
    d_queries[:] = 0
    for b in range(alpha.shape[0]):
        n, query, d_query = lengths[b], queries[b], d_queries[b]
        _back_to_scores(alpha[b], values[b], n, d_means[b], d_values[b], d_scores)
        for j in range(n):
            slope, key, d_key = scale * d_scores[j], keys[b, j], d_keys[b, j]
            for i in range(query.shape[0]):
                d_query[i] += slope * key[i]
                d_key[i] += slope * query[i]
