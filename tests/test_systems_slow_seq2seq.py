"""Experiments on encoder, decoder and attention, with the numbers that they must reach."""

import pytest

import systems

pytestmark = pytest.mark.slow


def test_12_a_fixed_vector_is_enough_for_short_sequences_alone():
    found = systems.run("exp_12_encoder_decoder")
    assert found["length_5"] >= 0.98
    lengths = (5, 10, 20, 30)
    shares = [found[f"length_{n}"] for n in lengths]
    assert sorted(shares, reverse=True) == shares
    assert found["length_20"] <= 0.5


def test_13_attention_reads_all_of_it_again():
    found = systems.run("exp_13_attention")
    assert found["attention_20"] >= 0.98
    assert found["fixed_20"] <= 0.5
    for length in (30, 40):  # beyond those of training
        assert found[f"attention_{length}"] > found[f"fixed_{length}"]


def test_24_attention_looks_where_it_should():
    found = systems.run("exp_24_attention_map")
    assert found["within_one"] >= 0.99
    assert found["exact"] >= 0.9
    assert found["within_one_uniform"] <= 0.2
