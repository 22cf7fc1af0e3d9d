"""One label for each sequence: reservoir features with a ridge readout or any classifier."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import (
    ClassifierMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    clone,
)
from sklearn.metrics import accuracy_score
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from echocast._checks import check_flag, check_number, check_option, refuse

from ._base import BaseReservoir, transactional
from ._blas import determinate
from ._label_ridge import fit_label_ridge, fit_sharpness, probabilities
from ._labelled import read_labelled, read_labels
from ._sequence_features import FEATURES, SequenceEncoder, state_basis, washouts_of
from ._sequences import SequenceLayout, read_weights

__all__ = ["ESNClassifier"]


def _readout_has(name):
    """Whether the readout offers a method (the built-in one offers all)."""

    def check(self):
        readout = getattr(self, "readout_", self.readout)
        return readout is None or bool(getattr(readout, name))

    return check


class ESNClassifier(
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, ClassifierMixin, BaseReservoir
):
    r"""Classify sequences, also of different lengths, by how they drive a fixed reservoir.

    A leaky reservoir with random weights, as in `ESNRegressor`, is driven by each sequence from
    the zero state. Its states are summed up in one vector of features for each sequence, and a
    ridge readout (targets +1 and -1), or any scikit-learn classifier, tells the classes apart.
    The defaults expect inputs scaled to zero mean and unit variance: `SequenceScaler` does it.

    Parameters
    ----------
    n_units : int, default=300
        Number of reservoir units.
    spectral_radius : float or None, default=0.9
        Largest absolute eigenvalue of `W_`. None leaves a matrix given as `topology` unscaled.
    leak_rate : float or array of shape (n_units,), default=0.1
        Share of the new state in each step, in (0, 1]. The default had the least leave-one-out
        error on average over six archive data sets (sequences of 7 to 427 steps).
    input_scaling : float or array of shape (n_features,), default=1.0
        Factor on the input weights.
    bias_scaling : float, default=0.2
        Factor on the bias, drawn from [-1, 1].
    topology : str, matrix or callable, default="random"
        A name from `topologies()`, a dense or sparse matrix of shape (n_units, n_units), or a
        callable ``(n_units, random_state) -> matrix``.
    connectivity : int or float, default=10
        Non-zeros of `W` per row (int, capped at `n_units`) or their share (float in (0, 1]).
    input_connectivity : int or float, default=1.0
        The same for the input weights.
    activation : str, default="tanh"
        A registered activation: "tanh", "relu", "sigmoid", "identity", "sin".
    features : {"last", "mean", "last_mean", "model_space", "output_model_space"}, default="last"
        What stands for a sequence:

        - "last": the state after its last step; "mean": the mean state; "last_mean": both.
        - "model_space": the coefficients of a ridge regression, one for each sequence, that
          predicts the next state from the state [1]_. The most telling on many data sets, and
          the most expensive.
        - "output_model_space": the same, predicting the next input from the state.
    bidirectional : bool, default=False
        Whether each sequence is run backwards too, which doubles the features.
    readout : classifier or None, default=None
        None for the built-in ridge readout, or a scikit-learn classifier, which is cloned.
    alpha : float, array of floats or "auto", default="auto"
        Penalty of the built-in readout. Of several, or of a logarithmic grid ("auto"), the one
        with the least leave-one-out squared error is taken.
    washout : int or "auto", default="auto"
        Steps at the start of each sequence that enter neither means nor model spaces; "auto" is
        ``min(100, n_steps // 10)``.
    n_components : int or None, default=75
        Principal components of the states in which the model spaces work; None for all states.
    model_alpha : float, default=10.0
        Ridge penalty of the regressions of the model spaces.
    random_state : None, int, RandomState, Generator or SeedSequence, default=None
        Source of `W_in_`, `W_` and `b_`, drawn in this order.
    dtype : {"float64", "float32"}, default="float64"
        Precision of weights and states.
    n_jobs : int or None, default=None
        Threads over groups of sequences. Results do not depend on it.
    input_weights : str, matrix or callable, default="uniform"
        Kind of input weights: "uniform", "bernoulli", "gaussian", "one_input_per_unit".
    deterministic : bool, default=False
        Whether features and results of the built-in readout are to have the same bits for any
        number of threads, as in `ESNRegressor`.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted.
    W_in_, W_, b_ : ndarray, ndarray or CSR array, ndarray
        The fixed weights.
    coef_, intercept_ : ndarray of shape (n_targets, n_readout_features), (n_targets,)
        Built-in readout; one target for two classes, else one for each class.
    alpha_ : float
        The penalty used.
    alphas_, loo_errors_ : ndarray
        Candidates and their leave-one-out mean squared errors, one column a target.
    loo_score_ : float
        Leave-one-out accuracy of the built-in readout on the training sequences.
    sharpness_ : float
        Factor on the scores in `predict_proba`.
    readout_ : classifier or None
        The fitted clone of `readout`.
    n_features_in_ : int
        Features of a step; the number of columns if X was 2-D.
    feature_names_in_ : ndarray of str

    Notes
    -----
    Probabilities of the built-in readout are the softmax of its scores times `sharpness_`,
    which makes the leave-one-out scores of the training sequences most likely: one number,
    without refitting, that neither changes a decision nor is fooled by a perfect fit.

    A 2-D X means that each row is one univariate sequence. Whole-sequence forms (a list, a 3-D
    array) can be split by `GridSearchCV` and `cross_val_score` as they are.

    References
    ----------
    .. [1] F. M. Bianchi, S. Scardapane, S. Lokse, R. Jenssen, "Reservoir computing approaches
       for representation and classification of multivariate time series", IEEE TNNLS 32(5),
       2021, sections III-B (output model space) and IV (reservoir model space).
    .. [2] H. Jaeger, M. Lukosevicius, D. Popovici, U. Siewert, "Optimization and applications of
       echo state networks with leaky-integrator neurons", Neural Networks 20(3), 2007.

    Examples
    --------
    Waves of three frequencies, with random phases and lengths:

    >>> import numpy as np
    >>> from echocast.reservoir import ESNClassifier
    >>> rng = np.random.RandomState(0)
    >>> y = np.repeat(["slow", "medium", "fast"], 20)
    >>> steps = {"slow": 0.2, "medium": 0.3, "fast": 0.4}
    >>> X = [
    ...     np.sin(steps[label] * np.arange(rng.randint(40, 80)) + rng.uniform(6))[:, None]
    ...     for label in y
    ... ]
    >>> clf = ESNClassifier(50, features="model_space", random_state=0).fit(X[::2], y[::2])
    >>> clf.score(X[1::2], y[1::2])
    1.0
    >>> clf.predict_proba(X[:2]).shape
    (2, 3)
    """

    predict_state = "reset"  # every sequence starts from zero

    def __init__(
        self,
        n_units: int = 300,
        *,
        spectral_radius: float | None = 0.9,
        leak_rate: float | ArrayLike = 0.1,
        input_scaling: float | ArrayLike = 1.0,
        bias_scaling: float = 0.2,
        topology: Any = "random",
        connectivity: float = 10,
        input_connectivity: float = 1.0,
        activation: str | Callable = "tanh",
        features: str = "last",
        bidirectional: bool = False,
        readout: Any = None,
        alpha: float | ArrayLike | str = "auto",
        washout: int | str = "auto",
        n_components: int | None = 75,
        model_alpha: float = 10.0,
        random_state: Any = None,
        dtype: str = "float64",
        n_jobs: int | None = None,
        input_weights: Any = "uniform",
        deterministic: bool = False,
    ) -> None:
        self.n_units = n_units
        self.spectral_radius = spectral_radius
        self.leak_rate = leak_rate
        self.input_scaling = input_scaling
        self.bias_scaling = bias_scaling
        self.topology = topology
        self.connectivity = connectivity
        self.input_connectivity = input_connectivity
        self.activation = activation
        self.features = features
        self.bidirectional = bidirectional
        self.readout = readout
        self.alpha = alpha
        self.washout = washout
        self.n_components = n_components
        self.model_alpha = model_alpha
        self.random_state = random_state
        self.dtype = dtype
        self.n_jobs = n_jobs
        self.input_weights = input_weights
        self.deterministic = deterministic

    @transactional(keep_fitted=False)
    def fit(self, X: Any, y: Any, *, groups: Any = None) -> Self:
        """Draw the reservoir, turn the sequences into features and fit the readout.

        Parameters
        ----------
        X : list of arrays of shape (n_steps_i, n_features), 3-D array, 2-D array or DataFrame
            A list may be ragged; in it and in a 3-D array (n_sequences, n_steps, n_features)
            trailing steps that are NaN in all features are padding. Each row of a 2-D X is one
            univariate sequence. A DataFrame with a (series, time) MultiIndex holds one sequence
            for each series.
        y : array-like of shape (n_sequences,)
            Labels. A Series that belongs to a MultiIndex frame (or to `groups`) is indexed by
            series and taken by label; everything else is taken by position, series in the order
            in which they first appear.
        groups : array-like of shape (n_steps,), optional
            Series labels of the rows of a 2-D X with a flat index, whose rows are then steps.

        Returns
        -------
        self

        Raises
        ------
        InvalidParameterError
            If a parameter has a forbidden value.
        ValueError
            If X or y is unusable, a sequence is too short for `features` after `washout`, or
            there is one class only.
        """
        owner = type(self).__name__
        dtype = self._check_params()
        rows, layout = read_labelled(self, X, groups=groups, reset=True, dtype=dtype)
        y = read_labels(y, layout, by_row=self._fit_by_row, owner=owner)
        self.classes_, labels = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(
                f"{owner} needs at least 2 classes, but y has one class only: "
                f"{self.classes_.tolist()[0]!r}."
            )
        sequences = self._long_enough(rows, layout)
        self._fit_reservoir = self._build_reservoir(rows.shape[1], 0, self._random(), dtype)
        self._fit_encoders = [
            SequenceEncoder(
                self._fit_reservoir,
                self.features,
                self.washout,
                self._basis(pass_),
                float(self.model_alpha),
            )
            for pass_ in _passes(sequences, self.bidirectional)
        ]
        self._fit_readout(self._encode(sequences), y, labels)
        return self

    def _check_params(self):
        owner = type(self).__name__
        dtype = self._check_reservoir()
        check_option("features", self.features, owner, FEATURES)
        check_flag("bidirectional", self.bidirectional, owner)
        if self.readout is not None and not hasattr(self.readout, "fit"):
            refuse("readout", owner, "None or a scikit-learn classifier", self.readout)
        self._check_washout()
        check_number("n_components", self.n_components, owner, low=1, integer=True, also=(None,))
        check_number("model_alpha", self.model_alpha, owner, low=0, closed="neither")
        return dtype

    def _long_enough(self, rows, layout):
        """The sequences, if none is too short for the features."""
        lengths = np.diff(layout.indptr)
        needed = FEATURES[self.features]
        short = np.flatnonzero(lengths - washouts_of(self.washout, lengths) < needed)
        if needed and len(short):
            i = int(short[0])
            raise ValueError(
                f"features={self.features!r} needs at least {needed} step(s) after "
                f"washout={self.washout!r}, but sequence {layout.ids[i] if layout.ids else i} "
                f"has {lengths[i]} (n_features={rows.shape[1]}). Use longer sequences, a shorter "
                "washout or features='last'."
            )
        return layout.split(rows)

    def _basis(self, sequences):
        if not self.features.endswith("model_space") or self.n_components is None:
            return None
        return state_basis(
            self._fit_reservoir, sequences, washout=self.washout, n_components=self.n_components
        )

    def _encode(self, sequences):
        passes = _passes(sequences, self.bidirectional)
        parts = [
            encoder(each, n_jobs=self.n_jobs) for encoder, each in zip(self._fit_encoders, passes)
        ]
        features = np.concatenate(parts, axis=1)
        if not np.isfinite(features).all():
            i = int(np.flatnonzero(~np.isfinite(features).all(axis=1))[0])
            raise ValueError(
                f"The features of sequence {i} are not finite: its states grow without bound. "
                "Use a bounded activation, or lower `spectral_radius` or `input_scaling`."
            )
        return features

    def _fit_readout(self, features, y, labels):
        self._n_features_out = features.shape[1]
        self.readout_ = None
        if self.readout is not None:
            self.readout_ = clone(self.readout).fit(features, y)
            return
        solved, scores = fit_label_ridge(
            features,
            labels,
            len(self.classes_),
            alpha=self.alpha,
            dtype=features.dtype,
            owner=type(self).__name__,
        )
        self._publish_readout(solved, scores, labels)

    def _publish_readout(self, solved, scores, labels):
        """Store the solved built-in readout, whose leave-one-out scores are given."""
        self.coef_, self.intercept_, self.alpha_ = solved.coef, solved.intercept, solved.alpha
        self.alphas_, self.loo_errors_ = solved.alphas, solved.loo_errors
        self.loo_score_ = float(np.mean(_winners(scores) == labels))
        self.sharpness_ = fit_sharpness(scores, labels)

    # --------------------------------------------------------------- prediction

    def transform(self, X: Any, *, groups: Any = None) -> np.ndarray:
        """Features that the readout sees.

        Parameters
        ----------
        X, groups
            As in `fit`.

        Returns
        -------
        ndarray of shape (n_sequences, n_readout_features)
        """
        check_is_fitted(self)
        dtype = self._fit_reservoir.dtype
        rows, layout = read_labelled(self, X, groups=groups, reset=False, dtype=dtype)
        with determinate(self):
            return self._encode(self._long_enough(rows, layout))

    @available_if(_readout_has("decision_function"))
    def decision_function(self, X: Any, *, groups: Any = None) -> np.ndarray:
        """Scores: the larger, the surer.

        Parameters
        ----------
        X, groups
            As in `fit`.

        Returns
        -------
        ndarray of shape (n_sequences,) or (n_sequences, n_classes)
            For two classes one score, which is positive for ``classes_[1]``.
        """
        features = self.transform(X, groups=groups)
        if self.readout_ is not None:
            return self.readout_.decision_function(features)
        scores = self._scores(features)
        return scores[:, 0] if scores.shape[1] == 1 else scores

    def _scores(self, features):
        with determinate(self):
            return features @ self.coef_.T + self.intercept_

    def predict(self, X: Any, *, groups: Any = None) -> np.ndarray:
        """Label of each sequence; writes nothing to the estimator.

        Parameters
        ----------
        X, groups
            As in `fit`.

        Returns
        -------
        ndarray of shape (n_sequences,)
            In the order of the sequences (series in the order in which they first appear).

        Raises
        ------
        NotFittedError
            Before fit.
        ValueError
            If X does not fit the columns of fit, has missing or infinite values before the end
            of a sequence, or has too short sequences.
        """
        features = self.transform(X, groups=groups)
        if self.readout_ is not None:
            return self.readout_.predict(features)
        return self.classes_[_winners(self._scores(features))]

    @available_if(_readout_has("predict_proba"))
    def predict_proba(self, X: Any, *, groups: Any = None) -> np.ndarray:
        """Probability of each class.

        Parameters
        ----------
        X, groups
            As in `fit`.

        Returns
        -------
        ndarray of shape (n_sequences, n_classes)
            Columns in the order of `classes_`.
        """
        features = self.transform(X, groups=groups)
        if self.readout_ is not None:
            return self.readout_.predict_proba(features)
        return probabilities(self._scores(features), self.sharpness_)

    def score(self, X: Any, y: Any, sample_weight: Any = None, *, groups: Any = None) -> float:
        """Share of sequences with the right label.

        Parameters
        ----------
        X, y, groups
            As in `fit`.
        sample_weight : array-like of shape (n_sequences,), optional

        Returns
        -------
        float
        """
        check_is_fitted(self)
        dtype = self._fit_reservoir.dtype
        _, layout = read_labelled(self, X, groups=groups, reset=False, dtype=dtype)
        y = read_labels(y, layout, by_row=self._fit_by_row, owner=type(self).__name__)
        rows = SequenceLayout("rows", np.array([0, len(y)]))
        weights = read_weights(sample_weight, rows, dtype=np.float64)
        return float(accuracy_score(y, self.predict(X, groups=groups), sample_weight=weights))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags


def _passes(sequences, bidirectional):
    """The sequences, and the same backwards if wanted."""
    if not bidirectional:
        return [sequences]
    return [sequences, [np.ascontiguousarray(part[::-1]) for part in sequences]]


def _winners(scores):
    """Class numbers of scores with one column for two classes, else one for each class."""
    return (scores[:, 0] > 0).astype(int) if scores.shape[1] == 1 else scores.argmax(axis=1)
