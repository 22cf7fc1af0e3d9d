"""Classify sequences of different lengths by how they drive a reservoir.

Three kinds of two-channel signals differ in how the channels move together, not in their range or
their frequencies, and each sequence has a length and a phase of its own. Writes ``classify.png``.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.decomposition import PCA
from sklearn.metrics import ConfusionMatrixDisplay
from sklearn.model_selection import StratifiedKFold, cross_val_score

from echocast.reservoir import ESNClassifier

SHIFT = {"ahead": 0.5, "behind": -0.5, "together": 0.0}  # of the second channel, in radians
rng = np.random.RandomState(0)


def sequence(label):
    """One noisy signal of shape (n_steps, 2)."""
    n_steps = rng.randint(40, 120)
    phase = rng.uniform(2 * np.pi) + np.cumsum(rng.uniform(0.1, 0.3, n_steps))
    clean = np.column_stack([np.sin(phase), np.sin(phase + SHIFT[label])])
    return clean + 0.4 * rng.standard_normal((n_steps, 2))


labels = np.repeat(sorted(SHIFT), 60)
X = [sequence(label) for label in labels]
train, test = np.arange(0, len(X), 2), np.arange(1, len(X), 2)
X_train, y_train = [X[i] for i in train], labels[train]
X_test, y_test = [X[i] for i in test], labels[test]

# Whole sequences are the samples, so folds may be shuffled here.
folds = StratifiedKFold(4, shuffle=True, random_state=0)
accuracy = {}
for features in ("last", "mean", "model_space"):
    clf = ESNClassifier(100, features=features, random_state=0)
    accuracy[features] = cross_val_score(clf, X_train, y_train, cv=folds).mean()
    print(f"{features:12s} accuracy in cross-validation {accuracy[features]:.2f}")
best = max(accuracy, key=accuracy.get)
clf = ESNClassifier(100, features=best, random_state=0).fit(X_train, y_train)

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
plane = PCA(2).fit_transform(clf.transform(X_test))
for label, colour, marker in zip(clf.classes_, ("#0072B2", "#E69F00", "#009E73"), "os^"):
    here = y_test == label
    left.scatter(*plane[here].T, s=18, color=colour, marker=marker, label=label)
left.set(xlabel="first principal component", ylabel="second", title=f"features: {best}")
left.legend(loc="upper center", bbox_to_anchor=(0.5, -0.15), ncols=3, frameon=False)
predicted = clf.predict(X_test)
ConfusionMatrixDisplay.from_predictions(y_test, predicted, ax=right, cmap="Blues", colorbar=False)
figure.savefig("classify.png")

score = clf.score(X_test, y_test)
print(f"{best}: {score:.2f} of the test sequences are right")
assert score > 0.8
