"""`eigen_report` against repeated application, for matrices of every kind."""

import dataclasses

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse

from echocast.reservoir import eigen_report, spectral_radius


def random_matrix(n=30, seed=0):
    return np.random.RandomState(seed).standard_normal((n, n)) / np.sqrt(n)


def rotation(angle, scale):
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    return np.array([[c, -s], [s, c]])


def jordan(value, n):
    return value * np.eye(n) + np.eye(n, k=1)


A = random_matrix()
KINDS = {
    "symmetric": (A + A.T, "orthogonal", True),
    "antisymmetric": (A - A.T, "orthogonal", True),
    "rotation": (rotation(0.3, 0.9), "orthogonal", True),
    "orthogonal": (np.linalg.qr(A)[0], "orthogonal", True),
    "permutation": (np.eye(7)[[1, 2, 3, 4, 5, 6, 0]], "orthogonal", True),
    "zero": (np.zeros((4, 4)), "orthogonal", True),
    "one": (np.array([[-0.5]]), "orthogonal", True),
    "general": (A, "eigenvectors", False),
    "triangular": (np.array([[0.5, 10.0], [0.0, 0.4]]), "eigenvectors", False),
    "jordan": (jordan(0.8, 6), "repeated", False),
    "nilpotent": (np.eye(5, k=1), "repeated", False),
    "nearly defective": (jordan(0.8, 3) + 1e-13 * random_matrix(3), "repeated", False),
}


def applied(W, h, n_steps):
    rows = [h]
    for _ in range(n_steps):
        rows.append(W @ rows[-1])
    return np.array(rows)


@pytest.mark.parametrize("kind", KINDS)
def test_powers_and_norms_are_those_of_repeated_application(kind):
    W, method, is_normal = KINDS[kind]
    report = eigen_report(W)
    assert (report.method, report.is_normal) == (method, is_normal)
    h = np.random.RandomState(1).standard_normal(len(W))
    true = applied(W, h, 60)
    sizes = np.linalg.norm(true, axis=1)
    # Rounding is multiplied by the condition, which is 1 or below 1e3 for these.
    for t in (0, 1, 2, 17, 60):
        assert_allclose(report.power(t, h), true[t], rtol=1e-10, atol=1e-10 * sizes[t])
    assert_allclose(report.norms(h, 60), sizes, rtol=1e-10)


@pytest.mark.parametrize("kind", KINDS)
def test_numbers_of_the_report(kind):
    W, _, is_normal = KINDS[kind]
    report = eigen_report(W)
    assert_allclose(report.spectral_norm, np.linalg.norm(W, 2), rtol=1e-12)
    # Eigenvalues of a defective matrix are known to eps ** (1 / size) only.
    assert_allclose(report.spectral_radius, spectral_radius(W), rtol=1e-4, atol=1e-12)
    assert report.spectral_radius == np.abs(report.eigenvalues).max()
    assert (np.diff(np.abs(report.eigenvalues)) <= 0).all()
    if report.method != "repeated":
        left, right = W @ report.eigenvectors, report.eigenvectors * report.eigenvalues
        assert_allclose(left, right, rtol=1e-12, atol=1e-12)
    gap = np.linalg.norm(W.T @ W - W @ W.T)
    assert_allclose(report.non_normality, gap, rtol=1e-12, atol=1e-12)
    assert (report.condition == 1.0) == is_normal


def test_eigenvectors_of_a_normal_matrix_are_orthonormal_where_values_coincide():
    twice = np.kron(np.eye(3), rotation(0.7, 0.5))
    Q, _ = np.linalg.qr(random_matrix(6))
    report = eigen_report(Q @ twice @ Q.T)
    V = report.eigenvectors
    assert report.method == "orthogonal"
    assert_allclose(V.conj().T @ V, np.eye(6), atol=1e-13)


def test_symmetric_matrices_have_real_eigenvalues():
    W = A + A.T
    wobbly = W * (1 + 1e-16 * np.sign(A))  # symmetric up to rounding, as products leave it
    for matrix in (W, wobbly):
        assert eigen_report(matrix).eigenvalues.dtype == np.float64


def test_half_lives():
    report = eigen_report(np.diag([2.0, 1.0, -0.5, 0.25, 0.0]))
    assert np.isinf(report.half_lives[1])
    assert_allclose(report.half_lives[[0, 2, 3, 4]], [-1.0, 1.0, 0.5, 0.0])
    halved = eigen_report(np.array([[0.9]]))
    assert_allclose(0.9 ** halved.half_lives[0], 0.5)


def test_only_the_top_mode_survives():
    W = A + A.T
    W *= 1.05 / spectral_radius(W)
    report = eigen_report(W)
    last = report.power(3000, np.ones(30))
    assert_allclose(abs(last @ report.eigenvectors[:, 0]) / np.linalg.norm(last), 1.0, rtol=1e-9)


def test_transient_growth_is_predicted():
    report = eigen_report(np.array([[0.5, 10.0], [0.0, 0.4]]))
    norms = report.norms([0.0, 1.0], 50)
    assert report.spectral_radius < 1 < report.spectral_norm
    assert norms.max() > 5
    assert norms[-1] < 1e-10


def test_power_takes_columns_and_complex_vectors():
    report = eigen_report(A)
    H = np.random.RandomState(1).standard_normal((30, 4))
    assert_allclose(report.power(3, H), A @ A @ A @ H, atol=1e-11)
    z = H[:, 0] + 1j * H[:, 1]
    assert_allclose(report.power(3, z), A @ A @ A @ z, atol=1e-11)
    assert report.power(2, np.ones(30, dtype=int)).dtype == np.float64


def test_sparse_matrices_are_read_too():
    W = sparse.random(40, 40, density=0.1, random_state=np.random.RandomState(0), format="csr")
    found, dense = eigen_report(W), eigen_report(W.toarray())
    assert_allclose(found.eigenvalues, dense.eigenvalues)
    assert_allclose(eigen_report(sparse.coo_array(W)).spectral_norm, dense.spectral_norm)


def test_report_is_frozen_and_apart_from_its_matrix():
    W = A.copy()
    report = eigen_report(W)
    W[:] = 0
    assert_allclose(report.power(1, np.ones(30)), A @ np.ones(30), atol=1e-12)
    with pytest.raises(dataclasses.FrozenInstanceError):
        report.condition = 0.0
    assert "method='eigenvectors'" in repr(report)


@pytest.mark.parametrize(
    ("W", "message"),
    [
        (np.zeros((2, 3)), r"must be a square matrix, got shape \(2, 3\)"),
        (np.zeros((0, 0)), "must be a square matrix"),
        (np.zeros(4), "must be a square matrix"),
        (np.eye(2) * 1j, "must hold real numbers, got dtype complex128"),
        (np.full((2, 2), np.nan), "contains NaN or infinity"),
    ],
)
def test_bad_matrices_are_refused(W, message):
    with pytest.raises(ValueError, match=message):
        eigen_report(W)


def test_bad_vectors_and_times_are_refused():
    report = eigen_report(A)
    with pytest.raises(ValueError, match=r"`h` must have shape \(30,\) or \(30, k\), got \(2,\)"):
        report.power(1, [1.0, 2.0])
    with pytest.raises(ValueError, match=r"`h` must have shape \(30,\), got \(30, 2\)"):
        report.norms(np.ones((30, 2)), 3)
    with pytest.raises(ValueError, match=r"'t' parameter of EigenReport\.power"):
        report.power(-1, np.ones(30))
    with pytest.raises(ValueError, match=r"'n_steps' parameter of EigenReport\.norms"):
        report.norms(np.ones(30), 1.5)
