"""Experiments on trees and explicit memory that take longer, and baselines that must fail."""

import pytest

import systems

pytestmark = pytest.mark.slow


def test_17_one_transition_for_all_nodes_of_a_tree():
    found = systems.run("exp_17_recursive")
    assert found["updates"] == 600
    for depth in (6, 8):
        assert found[f"accuracy_depth_{depth}"] >= 0.98
        assert found[f"bag_depth_{depth}"] <= 0.62


def test_22_a_memory_holds_what_a_state_cannot():
    found = systems.run("exp_22_turing")
    # 3 of 5 are asked for; three seeds are run
    assert found["n_seeds_that_copy_16"] >= 2
    assert found["lstm_error_8"] <= 0.01
    assert found["lstm_error_16"] >= 0.3


def test_23_some_questions_need_several_runs_of_the_cell():
    found = systems.run("exp_23_adaptive")
    assert found["accuracy"] >= 0.97
    assert found["accuracy_once"] <= 0.75
    assert found["n_seeds_that_ponder_less"] == found["n_seeds"] == 5
