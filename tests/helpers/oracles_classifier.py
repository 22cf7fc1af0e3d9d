"""Features of sequences in plain NumPy: one sequence, one regression, one solve at a time."""

import numpy as np

import oracles_esn as esn


def weights_of(model):
    return model.W_in_, model.W_, model.b_, model.leak_rate


def skipped(washout, n_steps):
    return min(100, n_steps // 10) if washout == "auto" else washout


def principal_axes(all_states, n_components):
    """Mean and leading right singular vectors (n_units, n_components), up to their signs."""
    mean = all_states.mean(axis=0)
    _, _, rows = np.linalg.svd(all_states - mean, full_matrices=False)
    return mean, rows[:n_components].T


def one_pass(model, sequences, train):
    """Features of `sequences`; principal components, if any, are those of `train`."""
    weights = weights_of(model)

    def run(X):
        states = esn.states(*weights, X)
        return states[skipped(model.washout, len(X)) :], X[skipped(model.washout, len(X)) :]

    turn = None
    if model.features.endswith("model_space") and model.n_components is not None:
        turn = principal_axes(np.vstack([run(X)[0] for X in train]), model.n_components)
    rows = []
    for X in sequences:
        kept, inputs = run(X)
        if turn is not None:
            kept = (kept - turn[0]) @ turn[1]
        last, mean = esn.states(*weights, X)[-1], kept.mean(axis=0)
        if model.features == "last":
            rows.append(last)
        elif model.features == "mean":
            rows.append(mean)
        elif model.features == "last_mean":
            rows.append(np.concatenate([last, mean]))
        else:
            following = kept if model.features == "model_space" else inputs
            coef, intercept = esn.ridge(kept[:-1], following[1:], model.model_alpha)
            rows.append(np.concatenate([coef.ravel(), intercept]))
    return np.array(rows)


def features(model, sequences, train=None):
    """All features: those of the sequences, and beside them those of the sequences reversed."""
    train = sequences if train is None else train
    forward = one_pass(model, sequences, train)
    if not model.bidirectional:
        return forward
    backward = one_pass(model, [X[::-1] for X in sequences], [X[::-1] for X in train])
    return np.hstack([forward, backward])


def scores(train, labels, n_classes, alpha, new):
    """Ridge scores of feature rows `new`; one column for two classes."""
    targets = 2.0 * np.eye(n_classes)[labels] - 1.0
    if n_classes == 2:
        targets = targets[:, 1:]
    coef, intercept = esn.ridge(train, targets, alpha)
    return new @ coef.T + intercept
