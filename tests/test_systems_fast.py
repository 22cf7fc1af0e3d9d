"""Experiments that take seconds, with the numbers that they must reach and baselines must not."""

import systems


def test_03_an_output_at_each_step():
    found = systems.run("exp_03_sequence_output")
    assert found["bits"] <= 0.01  # measured 1.4e-5
    # exactly 1 bit, up to what 27,000 steps say: y(t - 1) does not tell anything of x(t - 2)
    assert abs(found["bits_output_recurrence_forced"] - 1) <= 0.01
    assert found["bits_output_recurrence_own"] >= 0.99


def test_05_recurrence_from_the_output_carries_what_the_output_tells():
    found = systems.run("exp_05_output_recurrence")
    assert found["accuracy"] >= 0.999  # measured 1
    assert found["accuracy_last_step"] >= 0.999
    assert found["accuracy_echo"] <= 0.6  # chance is 0.5


def test_06_a_trained_initial_state_starts_a_motion():
    found = systems.run("exp_06_initial_state")
    assert found["mse_learned"] <= 1e-3
    assert abs(found["mse_zeros"] - found["variance"]) <= 1e-6  # float32


def test_06b_any_initial_state_will_do():
    found = systems.run("exp_06b_any_initial_state")
    errors = [found["mse_zeros"], found["mse_half"], found["mse_drawn"]]
    assert max(errors) <= 2 * min(errors)
    assert max(errors) <= 0.01 < found["mse_mean"]


def test_08_gradients_are_exact():
    found = systems.run("exp_08_exact_gradients")
    assert found.pop("without_way_back") >= 0.1
    assert len(found) >= 7
    assert max(found.values()) <= 1e-12, found


def test_21_clipping_keeps_training_alive():
    found = systems.run("exp_21_clipping")
    assert found["n_learnt"] >= 9
    assert found["n_learnt_without"] <= 1
    assert found["largest_norm"] >= 100


def test_25_truncation_forgets_what_is_beyond_its_window():
    found = systems.run("exp_25_truncated")
    assert found["bits_window_20"] <= 0.01
    assert found["bits_window_5"] >= 0.9
