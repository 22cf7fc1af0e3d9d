"""What all trainable recurrent estimators share: training as a transaction, and passes."""

from __future__ import annotations

import copy
import warnings
from abc import ABCMeta, abstractmethod
from dataclasses import replace
from typing import Any, Self

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from echocast._checks import (
    check_generator,
    check_option,
    refuse,
    stack_level,
)
from echocast.exceptions import EchocastWarning

from .._base import _dtype_name, _fitted_names, _given_states, transactional
from ._callbacks import CallbackSupportMixin, epoch_monitor, with_callbacks
from ._descent import finite_outputs
from ._network import Network
from ._objective import Objective, TrainData, learnt_from, n_threads
from ._parameters import RecurrentParameters
from ._passes import run_sequences, step_outputs
from ._reading import Sequences, read_sequences, warn_if_unscaled
from ._tape import Var
from ._train import Options, Trained, train

__all__ = ["BaseRNN"]

# What a network cannot change when training goes on.
_KEPT = ("hidden_layer_sizes", "cell", "bidirectional", "recurrence", "include_input", "leak_rate",
         "transition", "transition_depth", "h0", "loss", "quantile", "layout", "dtype")  # fmt: skip
_LONG = 200  # steps up to which gradients go through whole sequences
_TRUNCATED = 100
_WORSE = 1.1  # loss, as a share of the reservoir's, above which training has spoilt it


class BaseRNN(
    CallbackSupportMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    RecurrentParameters,
    metaclass=ABCMeta,
):
    """Abstract: parameters of the constructor are stored by the final classes."""

    # ------------------------------------------------------------------ fitting

    def fit(self, X: Any, y: Any, *, sample_weight: Any = None, groups: Any = None) -> Self:
        """Train the network, anew unless `warm_start` is set.

        Parameters
        ----------
        X : array-like of shape (n_steps, n_features), list of such, 3-D array or DataFrame
            Sequences; rows are time steps in order. A list, a 3-D array (n_sequences, n_steps,
            n_features), in which trailing rows of NaN are padding, a (series, time) MultiIndex
            or `groups` mean several sequences. See the class for rows that are windows.
        y : array-like or list
            Targets of each step in the form of X, or one for each sequence (see `output`).
        sample_weight : array-like, optional
            Weights of the steps, or of the sequences where those have the targets. A step of
            weight zero still counts as history. `RNNRegressor` also takes the shape of the
            targets (a list of 2-D arrays for a list): zeros there leave single targets out.
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
            If X, y or the weights are unusable.
        TrainingDivergedError
            If gradients become infinite or NaN. The former fit stays as it was after any error.
        """
        warm = bool(self.warm_start) and hasattr(self, "theta_")
        return (self._fit_on if warm else self._fit_anew)(X, y, sample_weight, groups)

    @transactional(keep_fitted=False)
    @with_callbacks
    def _fit_anew(self, X, y, sample_weight, groups):
        self._learn(X, y, sample_weight, groups, fresh=True)

    @transactional(keep_fitted=True)
    @with_callbacks
    def _fit_on(self, X, y, sample_weight, groups):
        self._learn(X, y, sample_weight, groups, fresh=False)

    @transactional(keep_fitted=True)
    def partial_fit(self, X: Any, y: Any, *, sample_weight: Any = None, groups: Any = None) -> Self:
        """Train for one epoch on a chunk of data, with the learning rate held.

        A 2-D chunk continues the previous one: it starts from the state in which that ended.

        Parameters
        ----------
        X, y, sample_weight, groups
            As in `fit`.

        Returns
        -------
        self
        """
        if self.solver == "lbfgs":
            raise ValueError(
                "`partial_fit` learns from a part of the data at a time, but solver='lbfgs' needs "
                "all of them at once. Use `fit`, or solver='adam'."
            )
        fresh = not hasattr(self, "theta_")
        self._learn(X, y, sample_weight, groups, fresh=fresh, one_epoch=True)
        return self

    def _learn(self, X, y, sample_weight, groups, *, fresh, one_epoch=False):
        dtype = self._check_params(type(self).__name__) if fresh else self._keep_params()
        sequences = self._read(X, groups, reset=fresh, dtype=dtype)
        goes_on = one_epoch and not fresh and sequences.layout.form == self._fit_form == "rows"
        goes_on = goes_on and not self.bidirectional  # which begins at both ends
        data = self._read_training(X, y, sequences, sample_weight, fresh=fresh)
        if self.washout and not self._fit_last:
            n_left = max(0, int(self.washout) - (self._fit_n_seen if goes_on else 0))
            data = self._without_washout(data, n_left, in_parts=one_epoch)
        rng = check_generator(self.random_state) if fresh else copy.deepcopy(self._fit_rng)
        training, validate = data, None
        if self.early_stopping and not one_epoch:
            training, validate = self._held_out(data, sequences, rng)
        if fresh:
            self._warn_if_unscaled(training)
            self._fit_network, start = self._first_network(training, rng)
        else:
            start = self._fit_trained
            if not one_epoch:  # scikit-learn's warm start: the weights alone go on
                start = Trained(start.theta)
        self._fit_rng = rng
        options = self._options(sequences, constant=one_epoch)
        monitor = None
        if not one_epoch:
            monitor = epoch_monitor(
                self, X, y, lambda state: self._fitted_at(state, sequences, data)
            )
        trained = train(
            Objective(self._fit_network, self._head(), training, alpha=self.alpha,
                      n_jobs=n_threads(self.n_jobs)),
            start,
            options,
            rng,
            n_epochs=1 if one_epoch else int(self.max_iter),
            validate=validate,
            monitor=monitor,
            first_states=self._fit_trained.states if goes_on else None,
        )  # fmt: skip
        from_esn = fresh and not isinstance(self.weight_init, (str, dict))
        if from_esn and trained.n_epochs and not self._is_fed():
            self._warn_if_worse(start.theta, trained.theta, data, sequences)
        self._publish(trained, sequences, data, from_start=not goes_on)
        self._fit_n_seen = len(data.rows) + (self._fit_n_seen if goes_on else 0)
        if monitor is not None:
            monitor.ended(trained)

    def _without_washout(self, data, n_steps, *, in_parts):
        """The data with no weight on the first steps of each sequence."""
        weights = np.where(data.position < n_steps, 0, data.weights).astype(data.weights.dtype)
        if not weights.any() and not in_parts:
            raise ValueError(
                f"washout={self.washout} leaves no step to train on; sequences have "
                f"{int(np.diff(data.indptr).max())} steps at most."
            )
        return replace(data, weights=weights, n_forced=n_steps)

    def _warn_if_worse(self, first, last, data, sequences):
        """Say so if training has spoilt the reservoir that it began from."""
        weights = data.weights / data.weights.sum()
        before, after = (
            float(self._head().loss(Var(self._outputs(theta, sequences, None)[0]), data.targets,
                                    weights).data)
            for theta in (first, last)
        )  # fmt: skip
        if after > _WORSE * before:
            warnings.warn(
                f"Training has made the loss of the reservoir worse, {before:.3g} to {after:.3g}: "
                "lower `learning_rate_init`, for instance to 1e-4, start from a reservoir with a "
                "larger `alpha`, whose readout has smaller weights, or leave its transient out by "
                "`washout`.",
                EchocastWarning,
                stacklevel=stack_level(),
            )

    def _keep_params(self):
        """Check the parameters of a fit that goes on, and that its network still is theirs."""
        self._check_params(type(self).__name__)
        for name, value in self._asked().items():
            if not np.array_equal(value, self._fit_asked[name]):
                raise ValueError(
                    f"The network was fitted with {name}={self._fit_asked[name]!r}, and cannot go "
                    f"on with {value!r}. Call `fit` with warm_start=False to start afresh."
                )
        return self._fit_network.dtype

    def _asked(self):
        """Parameters that a network keeps for life."""
        asked = {name: copy.copy(getattr(self, name)) for name in _KEPT if hasattr(self, name)}
        return {**asked, "hidden_layer_sizes": self._sizes(), "dtype": _dtype_name(self.dtype)}

    def _first_network(self, data, rng):
        """The network and its first parameters."""
        from ._bridge import begin_from_reservoir

        self._fit_asked = self._asked()
        given = self.weight_init
        if not isinstance(given, (str, dict)) or given == "reservoir":
            network, theta = begin_from_reservoir(self, data, rng)
            return network, Trained(theta)
        network = self._network(data.rows.shape[1], data.rows.dtype)
        theta = network.initialise("orthogonal" if isinstance(given, dict) else given, rng)
        views = network.layout.views(theta)
        self._first_bias(views["out.b"], data)
        if isinstance(given, dict):
            _fill(views, given)
        return network, Trained(theta)

    def _network(self, n_inputs: int, dtype: Any, **changes: Any) -> Network:
        head = self._head()
        settings: dict[str, Any] = {
            "cell": "rnn" if self.cell in ("tanh", "relu") else self.cell,
            "activation": self.cell if self.cell in ("tanh", "relu") else "tanh",
            "units": tuple(int(n) for n in self._sizes()),
            "n_inputs": n_inputs,
            "n_outputs": head.n_outputs,
            "n_fed": self._fit_n_fed,
            "dtype": np.dtype(dtype),
            "last": self._fit_last,
            "recurrence": self.recurrence,
            "bidirectional": bool(self.bidirectional),
            "include_input": bool(self.include_input),
            "leak": self.leak_rate,
            "transition": self.transition,
            "depth": int(self.transition_depth),
        }
        network = Network(**{**settings, **changes})
        return Network(**{**settings, **changes, "h0": self._given_h0(network)})

    def _given_h0(self, network):
        """The parameter `h0` as the network takes it: for each layer (h,) or (h, c)."""
        if isinstance(self.h0, str):
            return check_option("h0", self.h0, type(self).__name__, ("learned", "zeros"))
        rule = f"'zeros', 'learned' or an array of {network.n_states} finite numbers"
        try:
            values = np.asarray(self.h0, dtype=network.dtype).reshape(-1)
        except (TypeError, ValueError):
            refuse("h0", type(self).__name__, rule, self.h0)
        if values.shape != (network.n_states,) or not np.isfinite(values).all():
            refuse("h0", type(self).__name__, rule, self.h0)
        return [tuple(v.data[0] for v in parts) for parts in network.unflat(values[None])]

    def _options(self, sequences, *, constant):
        steps = self.bptt_steps
        if isinstance(steps, str):
            longest = int(np.diff(sequences.indptr).max())
            whole = longest <= _LONG or self._fit_last or self.bidirectional
            steps = None if whole else _TRUNCATED
        names = ("solver", "learning_rate_init", "max_fun", "tol", "n_iter_no_change", "max_norm",
                 "clip_value", "dropout", "recurrent_dropout", "momentum", "nesterovs_momentum",
                 "weight_decay")  # fmt: skip
        return Options(
            batch_size=int(self.batch_size),
            learning_rate="constant" if constant else self.learning_rate,
            bptt_steps=None if self.solver == "lbfgs" else steps,
            teacher_forcing=self._forcing(),
            shuffle=bool(self.shuffle) and not constant,
            verbose=bool(self.verbose),
            **{name: getattr(self, name) for name in names},
        )

    _least_validated = 1

    def _held_out(self, data, sequences, rng):
        """Training data without the held out part, and a function that scores parameters on it."""
        part = self._validation_part(data, sequences, rng)
        if not data.weights[~part].any() or (
            np.count_nonzero(data.weights[part]) < self._least_validated
        ):
            raise ValueError(
                f"validation_fraction={self.validation_fraction} leaves nothing to train on, or "
                f"fewer than {self._least_validated} target(s) to validate with. Raise it, use "
                "more data, or early_stopping=False."
            )
        kept = TrainData(data.rows, data.indptr, data.targets, data.weights * ~part, data.before,
                         data.n_forced)  # fmt: skip
        weights = data.weights[part]

        def validate(theta):
            outputs = self._outputs(theta, sequences, None)[0]
            return self._score_outputs(outputs[part], data.targets[part], weights)

        return learnt_from(kept, self._fit_last), validate

    def _validation_part(self, data, sequences, rng):
        """Which targets are held out: the last block in time, or the last whole sequences."""
        layout = sequences.layout
        if layout.n_sequences == 1 and not self._fit_last:
            part = np.zeros(len(data.rows), dtype=bool)
            part[len(part) - max(1, round(self.validation_fraction * len(part))) :] = True
            return part
        n = max(1, round(self.validation_fraction * layout.n_sequences))
        chosen = np.arange(layout.n_sequences) >= layout.n_sequences - n
        return chosen if self._fit_last else np.repeat(chosen, np.diff(layout.indptr))

    def _fitted_at(self, trained, sequences, data):
        """Fitted attributes as they would be if training ended with `trained`."""
        other = copy.copy(self)
        other._publish(copy.copy(trained), sequences, data, from_start=True)
        return {name: vars(other)[name] for name in _fitted_names(other)}

    def _publish(self, trained, sequences, data, *, from_start):
        """Store what was learnt on the shadow estimator."""
        network, layout = self._fit_network, sequences.layout
        self.theta_ = trained.theta
        self.loss_curve_ = list(trained.loss_curve)
        self.loss_ = trained.loss_curve[-1] if trained.loss_curve else None
        self.best_loss_ = min(trained.loss_curve, default=None)
        self.validation_scores_ = trained.validation_scores
        self.best_validation_score_ = (
            max(trained.validation_scores) if trained.validation_scores else None
        )
        self.grad_norms_ = list(trained.grad_norms)
        self.n_iter_, self.t_ = trained.n_epochs, trained.n_updates
        self.n_skipped_steps_ = trained.n_skipped
        self.n_layers_ = len(network.units) + 2
        self.n_outputs_ = network.n_outputs
        self.out_activation_ = self._head().out_activation
        leaves = network.layout.leaves(trained.theta, None)
        self.h0_ = network.flat(network.first_states(leaves, 1))[0] if network.n_states else (
            np.empty(0, network.dtype)
        )  # fmt: skip
        ended = trained.states
        if from_start or ended is None or len(ended) != layout.n_sequences:
            ended = self._outputs(trained.theta, sequences, None)[1]
        trained.states = ended
        self._fit_trained, self._fit_form = trained, layout.form
        self.state_ = layout.per_sequence(ended)
        self._remember_targets(data, layout)

    @property
    def params_(self) -> dict:
        """All parameters by name, as views of `theta_`."""
        check_is_fitted(self)
        return self._fit_network.layout.views(self.theta_)

    # -------------------------------------------------------------------- passes

    def _read(self, X, groups, *, reset, dtype) -> Sequences:
        layout = self.layout if reset else self._fit_asked["layout"]
        windows = layout == "windows"
        return read_sequences(self, X, groups=groups, reset=reset, dtype=dtype, windows=windows)

    def _read_new(self, X, groups=None) -> Sequences:
        check_is_fitted(self)
        return self._read(X, groups, reset=False, dtype=self._fit_network.dtype)

    def _given(self, sequences, initial_state):
        """States (n_sequences, n_states) that the caller gives, or None."""
        if initial_state is None:
            return None
        shape = (sequences.layout.n_sequences, self._fit_network.n_states)
        return _given_states(initial_state, sequences.layout, shape, self._fit_network.dtype)

    def _outputs(self, theta, sequences, states, before=None) -> tuple[np.ndarray, np.ndarray]:
        """Outputs of the readout, of steps or of sequences, and the states that runs end in."""
        network, layout = self._fit_network, sequences.layout
        n = layout.n_sequences if network.last else len(sequences.rows)
        outputs = np.empty((n, network.n_outputs), dtype=network.dtype)

        def write(numbers, packed, run):
            if network.last:
                outputs[numbers] = run.outputs.data
            else:
                step_outputs(outputs, packed, run.outputs.data)

        with np.errstate(all="ignore"):  # what overflows is told from the outputs
            ended = run_sequences(
                network, theta, sequences.rows, layout.indptr, states, write, before=before,
                feed=self._head().feed,
            )  # fmt: skip
        return outputs, ended

    def _finite_outputs(self, sequences, states):
        outputs = self._outputs(self.theta_, sequences, states)[0]
        return finite_outputs(outputs, type(self).__name__)

    def transform(self, X: Any, *, groups: Any = None, initial_state: Any = None) -> Any:
        """Hidden states of the last layer, for each step (or each sequence, with output='last').

        Parameters
        ----------
        X, groups
            As in `fit`.
        initial_state : ndarray of the shape of `state_`, optional
            State before the first row of each sequence.

        Returns
        -------
        ndarray of shape (n_steps, n_units), or the form of X
        """
        sequences = self._read_new(X, groups)
        network = self._fit_network
        layers = self._hidden(sequences, initial_state)
        if not network.last:
            return sequences.restore(layers[-1])
        return self._last_rows(layers[-1], sequences)

    def _last_rows(self, hidden, sequences):
        """What the readout of a network that reads last states has seen."""
        ends = hidden[sequences.indptr[1:] - 1].copy()
        if self._fit_network.bidirectional:  # the backward direction ends at the first step
            n = self._fit_network.units[-1]
            ends[:, n:] = hidden[sequences.indptr[:-1], n:]
        return ends

    def states(self, X: Any, *, groups: Any = None, initial_state: Any = None) -> list:
        """Hidden states of every layer for each step.

        Parameters
        ----------
        X, groups, initial_state
            As in `transform`.

        Returns
        -------
        list of ndarray of shape (n_steps, n_units), or of the form of X
            One for each layer; both directions side by side if there are two.
        """
        sequences = self._read_new(X, groups)
        return [sequences.restore(h) for h in self._hidden(sequences, initial_state)]

    def _hidden(self, sequences, initial_state):
        network, n_rows = self._fit_network, len(sequences.rows)
        widths = [n * len(network.directions) for n in network.units]
        layers = [np.empty((n_rows, width), dtype=network.dtype) for width in widths]

        def write(numbers, packed, run):
            for layer, hidden in zip(layers, run.hidden):
                step_outputs(layer, packed, hidden.data)

        run_sequences(
            network, self.theta_, sequences.rows, sequences.indptr,
            self._given(sequences, initial_state), write, feed=self._head().feed,
        )  # fmt: skip
        return layers

    def _recurrent_weights(self) -> list:
        """(cell, weights, leak, activation) of each layer, forwards: what analyses read."""
        network, params = self._fit_network, self.params_
        if network.recurrence == "output":
            raise ValueError("A network with recurrence='output' has no state to analyse.")
        cell = network.transition if network.is_deep else network.cell
        return [
            (cell, network._weights(params, i, ""), network.leak, network.activation)
            for i in range(len(network.units))
        ]

    @property
    def _n_features_out(self):
        return self._fit_network.n_hidden

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = [_dtype_name(self.dtype)]
        return tags

    # -------------------------------------------------------------------- hooks

    @abstractmethod
    def _head(self) -> Any:
        """What outputs mean, once the targets are known."""

    @abstractmethod
    def _read_training(self, X, y, sequences, sample_weight, *, fresh) -> TrainData:
        """Targets and weights; sets `_fit_last`, `_fit_n_fed` and what the head needs."""

    @abstractmethod
    def _first_bias(self, bias: np.ndarray, data: TrainData) -> None:
        """Set the readout's first bias from the targets."""

    @abstractmethod
    def _score_outputs(self, outputs, targets, weights) -> float:
        """Score of outputs, for early stopping; higher is better."""

    def _warn_if_unscaled(self, data: TrainData) -> None:
        """Warn of data that training cannot be expected to cope with."""
        if isinstance(self.weight_init, str):  # the scalings of a reservoir are its owner's choice
            warn_if_unscaled("X", data.rows, type(self).__name__)

    def _remember_targets(self, data: TrainData, layout: Any) -> None:
        """Keep what a closed loop starts from."""


def _fill(views, given):
    """Put given weights in their places."""
    for name, values in given.items():
        if name not in views:
            raise ValueError(
                f"`weight_init` names {name!r}, but this network has {list(views)}. See "
                "`hidden_layer_sizes`, `cell` and `bidirectional`."
            )
        if np.shape(values) != views[name].shape:
            raise ValueError(
                f"`weight_init` has {name!r} of shape {np.shape(values)}, but this network needs "
                f"{views[name].shape}."
            )
        views[name][...] = values
        if not np.isfinite(views[name]).all():
            raise ValueError(f"`weight_init` has NaN or infinity in {name!r}.")
