"""Experiments on gradients and eigenvalues, with the numbers that they must reach."""

import systems


def test_09_product_of_jacobians():
    found = systems.run("exp_09_jacobian")
    assert found["error"] <= 1e-12  # measured 6e-16
    assert found["slope"] <= found["log_largest_singular_value"]  # -0.46 and 0.71
    assert found["slope"] < -0.1  # gradients vanish although W could let them explode
    assert found["error_without_tanh"] >= 1.0  # what leaves out 1 - h^2 explodes: 1.7e3


def test_18_eigenvalues_predict_repeated_application():
    found = systems.run("exp_18_eigen")
    assert found["error"] <= 1e-10  # measured 2e-14
    assert found["error_of_norms"] <= 1e-10
    assert found["alignment_with_top_mode"] >= 1 - 1e-6
    assert abs(found["growth_of_last_step"] - 1.05) <= 1e-6
    assert found["error_general"] <= 1e-10  # with the inverse of the eigenvectors
    assert found["error_general_with_transpose"] >= 0.5  # with their transpose
