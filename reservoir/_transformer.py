"""The reservoir alone: sequences to states, for readouts of the user's choice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin

from ._base import BaseReservoir, harvest, transactional
from ._sequence_tools import is_single, keeps_sequences
from ._sequences import read_rows
from ._time_chunks import in_step

__all__ = ["ReservoirTransformer"]


@keeps_sequences
class ReservoirTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseReservoir):
    r"""Turn rows that are time steps into the states of a fixed random reservoir.

    .. math:: x_t = (1 - a)\, x_{t-1} + a\, f(W x_{t-1} + W_{in} u_t + b)

    One row of states for each row of `X`, so that any estimator can follow in a pipeline. The
    defaults expect inputs scaled to zero mean and unit variance.

    Parameters
    ----------
    n_units : int, default=300
        Number of reservoir units, the number of columns that come out.
    spectral_radius : float or None, default=0.9
        Largest absolute eigenvalue of `W_`, met to 1e-6 relative. None leaves a matrix given
        as `topology` unscaled.
    leak_rate : float or array of shape (n_units,), default=1.0
        Share of the new state in each step, in (0, 1].
    input_scaling : float or array of shape (n_features,), default=0.3
        Factor on the input weights.
    bias_scaling : float, default=1.0
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
    predict_state : {"auto", "continue", "reset"}, default="auto"
        Whether `transform` starts from the state that fit ended in. "auto" does so only if the
        index of X starts exactly one step after the last stamp of fit (arrays have no index:
        they reset). `fit_transform` always starts from zero.
    random_state : None, int, RandomState, Generator or SeedSequence, default=None
        Source of `W_in_`, `W_` and `b_`, drawn in this order.
    dtype : {"float64", "float32"}, default="float64"
        Precision of weights and states. float32 input gives float32 output in any case.
    n_jobs : int or None, default=None
        Threads over groups of sequences in `transform` of several sequences; the results are
        the same bits for any number.
    input_weights : str, matrix or callable, default="uniform"
        Kind of input weights: "uniform", "bernoulli", "gaussian", "one_input_per_unit".
    time_chunks : int, "auto" or None, default=None
        Run a single long sequence as so many chunks side by side; see `ESNRegressor`.
    deterministic : bool, default=False
        Whether results are to have the same bits for any number of threads, as in `ESNRegressor`.

    Attributes
    ----------
    W_in_, W_, b_ : ndarray, ndarray or CSR array, ndarray
        The fixed weights.
    state_ : ndarray of shape (n_units,), (n_sequences, n_units) or dict
        State after the last step of fit, for each sequence.
    time_chunks_, sync_warmup_, sync_error_ : int, int, float
        How the last fit ran; see `ESNRegressor`.
    n_features_in_, feature_names_in_ : int, ndarray of str

    See Also
    --------
    ESNRegressor : a reservoir with its own ridge readout.
    ESNClassifier : one label for each sequence.

    References
    ----------
    .. [1] H. Jaeger, "The 'echo state' approach to analysing and training recurrent neural
       networks", GMD Report 148, 2001, section 1.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import Ridge
    >>> from sklearn.pipeline import make_pipeline
    >>> from echocast.reservoir import ReservoirTransformer
    >>> u = np.sin(0.2 * np.arange(500))[:, None]
    >>> model = make_pipeline(ReservoirTransformer(50, random_state=0), Ridge(1e-6))
    >>> model.fit(u[:400], np.roll(u, -1)[:400, 0]).score(u[:-1], u[1:, 0]) > 0.99
    True
    """

    def __init__(
        self,
        n_units: int = 300,
        *,
        spectral_radius: float | None = 0.9,
        leak_rate: float | ArrayLike = 1.0,
        input_scaling: float | ArrayLike = 0.3,
        bias_scaling: float = 1.0,
        topology: Any = "random",
        connectivity: float = 10,
        input_connectivity: float = 1.0,
        activation: str | Callable = "tanh",
        predict_state: str = "auto",
        random_state: Any = None,
        dtype: str = "float64",
        n_jobs: int | None = None,
        input_weights: Any = "uniform",
        time_chunks: int | str | None = None,
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
        self.predict_state = predict_state
        self.random_state = random_state
        self.dtype = dtype
        self.n_jobs = n_jobs
        self.input_weights = input_weights
        self.time_chunks = time_chunks
        self.deterministic = deterministic

    def fit(self, X: Any, y: Any = None, *, groups: Any = None) -> Self:
        """Draw the reservoir and run it over X to learn the state that X ends in.

        Parameters
        ----------
        X : array-like of shape (n_steps, n_features), list of such, 3-D array or DataFrame
            Inputs; rows are time steps in order. A list, a 3-D array
            (n_sequences, n_steps, n_features) or a (series, time) MultiIndex means several
            sequences, each started from the zero state.
        y : ignored
        groups : array-like of shape (n_steps,), optional
            Sequence labels for a 2-D X with a flat index.

        Returns
        -------
        self

        Raises
        ------
        InvalidParameterError
            If a parameter has a forbidden value.
        ValueError
            If X is unusable.
        """
        return self._run_over(X, groups, None)

    def fit_transform(self, X: Any, y: Any = None, *, groups: Any = None) -> Any:
        """Fit and return the states of X from the same run, which starts from zero.

        Parameters
        ----------
        X, y, groups
            As in `fit`.

        Returns
        -------
        ndarray of shape (n_steps, n_units), or the form of X
        """
        kept: list = []
        self._run_over(X, groups, kept)
        return kept[0]

    @transactional(keep_fitted=False)
    def _run_over(self, X, groups, keep):
        """Fit; put the states into the list `keep` if there is one."""
        dtype = self._check_reservoir()
        rows, layout = read_rows(self, X, groups=groups, reset=True, dtype=dtype)
        self._fit_reservoir = self._build_reservoir(rows.shape[1], 0, self._random(), dtype)
        last_states = np.zeros((layout.n_sequences, self.n_units), dtype=dtype)
        states = None if keep is None else np.empty((len(rows), self.n_units), dtype=dtype)
        chunks = self._new_chunks()

        def run_all():
            for i, start, block in harvest(self._fit_reservoir, rows, layout, chunks=chunks):
                last_states[i] = block[-1]
                if states is not None:
                    first = layout.indptr[i] + start
                    states[first : first + len(block)] = block

        in_step(chunks, run_all)
        self._remember_chunks(chunks)
        self._remember_end(layout, last_states)
        if keep is not None:
            keep.append(_lowered(layout.restore(states), X))

    def transform(self, X: Any, *, groups: Any = None, initial_state: Any = None) -> Any:
        """States for each row of X, in the form of X; writes nothing to the estimator.

        Parameters
        ----------
        X, groups
            As in `fit`.
        initial_state : ndarray of shape (n_units,) or (n_sequences, n_units), or dict, optional
            State before the first row; overrides `predict_state`.

        Returns
        -------
        ndarray of shape (n_steps, n_units), or the form of X
            A list for a list, a 3-D array for a 3-D array, else rows in the order of X.

        Raises
        ------
        NotFittedError
            Before fit.
        ValueError
            If X does not fit the columns of fit, or has missing or infinite values.
        """
        return _lowered(self._states_of(X, groups, initial_state), X)

    @property
    def _n_features_out(self):
        return self._fit_reservoir.n_units

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        kept = ["float32"] if self.dtype == "float32" else ["float64", "float32"]
        tags.transformer_tags.preserves_dtype = kept
        return tags


def _lowered(states: Any, X: Any) -> Any:
    """States in float32 if X is: the caller asked for no more."""
    if not is_single(X):
        return states
    if isinstance(states, list):
        return [part.astype(np.float32, copy=False) for part in states]
    return states.astype(np.float32, copy=False)
