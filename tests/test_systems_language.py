"""Experiments on symbols, with the numbers that they must reach and baselines must not."""

import pytest

import systems


@pytest.mark.slow
def test_02_a_network_knows_which_bracket_is_open():
    found = systems.run("exp_02_brackets")
    assert found["bits"] <= found["entropy"] + 0.08  # measured 0.014 above
    assert found["right_kinds"] >= 0.97  # measured 0.998
    assert found["bits_markov"] >= found["entropy"] + 0.2  # the best of six orders; 0.28 above
    assert abs(found["bits_true"] - found["entropy"]) <= 0.02  # of the 20,000 characters


def test_02_the_bracket_language_has_the_entropy_that_it_is_said_to_have():
    import numpy as np

    tasks = systems.load("tasks")
    text, bits = tasks.brackets(np.random.RandomState(1), 60_000)
    assert abs(bits.mean() - tasks.bracket_entropy()) <= 0.02
    assert abs(tasks.bracket_entropy() - 2.684) <= 0.001
    open_ones = []
    for symbol in text:
        if symbol in tasks.OPENING:
            open_ones.append(symbol)
        elif symbol in tasks.CLOSING:
            assert open_ones.pop() == tasks.OPENING[tasks.CLOSING.index(symbol)]
        assert len(open_ones) <= 3


def test_10_the_order_of_a_markov_source():
    found = systems.run("exp_10_markov")
    by_order = [found[f"bits_{k}"] for k in range(6)]
    assert by_order.index(min(by_order)) == 3
    assert found["order"] == 3
    assert abs(found["bits_3"] - found["bits_true"]) <= 0.01  # measured 0.003
    assert min(by_order[:3]) >= found["bits_true"] + 0.2  # shorter memories fail


def test_11_sequences_end_where_they_should():
    found = systems.run("exp_11_end_of_sequence")
    for way in ("symbol", "bernoulli", "length"):
        assert found[way] >= 0.99  # of 200 words
        assert found[f"announce_{way}"] >= 0.97
        assert found[f"updates_{way}"] == 800
    assert found["none"] == 0  # without an end every word is as long as it may be
    assert found["cut_none"] == 1
