"""Slow, plain forms of the recursive network: one node after the other, as the formula says."""

from __future__ import annotations

import math

import numpy as np


def states_of(tree, params, number):
    """States (n_nodes, n_units) of a nested tuple in post-order; `number` maps tokens to rows."""
    found = []

    def visit(node):
        parts = node if isinstance(node, tuple) else (node,)
        token, children = parts[0], [visit(child) for child in parts[1:]]
        z = params["b"].copy()
        if token is not None:
            z += params["V"] @ params["embedding"][number(token)]
        if children:
            z += params["U"] @ children[0] + params["W"] @ children[-1]
        found.append(np.array([math.tanh(value) for value in z]))
        return found[-1]

    visit(tree)
    return np.array(found)


def probabilities(states, params):
    """Softmax of the readout, row by row."""
    rows = []
    for h in states:
        logits = params["out.W"] @ h + params["out.b"]
        shares = np.exp(logits - logits.max())
        rows.append(shares / shares.sum())
    return np.array(rows)


def value_of(expression):
    """What a nested expression of "and", "or" and "not" comes to."""
    if isinstance(expression, str):
        return {"T": True, "F": False}[expression]
    operator, *operands = expression
    values = [value_of(operand) for operand in operands]
    return {"and": all, "or": any, "not": lambda values: not values[0]}[operator](values)
