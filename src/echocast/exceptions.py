"""Errors and warnings raised by echocast; all errors subclass what users already catch."""

__all__ = [
    "ConstantTargetWarning",
    "CorruptModelError",
    "DistributedFitError",
    "EchocastWarning",
    "ExtraColumnsWarning",
    "ForecastDivergedError",
    "ForecastDivergenceWarning",
    "IllConditionedWarning",
    "InsertedRowsWarning",
    "InvalidParameterError",
    "ModelFileError",
    "NotContractingWarning",
    "TrainingDivergedError",
    "UnsafeModelError",
    "UnscaledDataWarning",
    "UnsupportedVersionError",
]


class InvalidParameterError(ValueError, TypeError):
    """A constructor or method parameter has a forbidden type or value."""


class EchocastWarning(UserWarning):
    """Base class of the package's warnings; filter it to silence them all."""


class IllConditionedWarning(EchocastWarning):
    """The readout's least-squares problem is singular or close to it."""


class ConstantTargetWarning(EchocastWarning):
    """The target does not vary, so the prediction is that constant."""


class ForecastDivergenceWarning(EchocastWarning):
    """A closed-loop forecast left the range of the training data by a wide margin."""


class ExtraColumnsWarning(EchocastWarning):
    """Exogenous columns that were not seen in fit are ignored."""


class InsertedRowsWarning(EchocastWarning):
    """The index of y has gaps, which were filled with missing rows, as `missing` asks for."""


class NotContractingWarning(EchocastWarning):
    """A reservoir forgets its start too slowly to run in chunks: steps are run one by one."""


class UnscaledDataWarning(EchocastWarning):
    """Data so large, small or far from zero that training a network on them fails silently."""


class ForecastDivergedError(RuntimeError):
    """A closed-loop forecast became infinite or not a number.

    Parameters
    ----------
    step : int
        First step (counted from zero) whose output is not finite.
    last_finite : float
        Largest absolute finite output before that step.
    """

    def __init__(self, step, last_finite):
        self.step = int(step)
        self.last_finite = float(last_finite)
        super().__init__(
            f"Forecast became non-finite at step {self.step} (largest finite value before it "
            f"{self.last_finite:.3g}). Raise `alpha` or train on more data; for reservoirs also "
            "lower `spectral_radius` or `input_scaling`."
        )

    def __reduce__(self):
        return type(self), (self.step, self.last_finite)


class TrainingDivergedError(RuntimeError):
    """Training a network met gradients that are infinite or not a number, again and again.

    Parameters
    ----------
    update : int
        Update of the parameters at which training was given up, counted from one.
    n_skipped : int
        Updates in a row that had no finite gradient.
    """

    def __init__(self, update, n_skipped):
        self.update = int(update)
        self.n_skipped = int(n_skipped)
        super().__init__(
            f"Training diverged: up to update {self.update} the gradient was not finite "
            f"{self.n_skipped} time(s) in a row. Scale X and y, lower `learning_rate_init`, or set "
            "`max_norm=1.0`, which clips gradients."
        )

    def __reduce__(self):
        return type(self), (self.update, self.n_skipped)


class DistributedFitError(RuntimeError):
    """A part of a distributed fit failed, or the cluster was lost; the estimator is unchanged.

    Parameters
    ----------
    message : str
    part : int or None
        Number of the part, counted from zero.
    """

    def __init__(self, message, part=None):
        self.part = part
        super().__init__(message)

    def __reduce__(self):
        return type(self), (str(self), self.part)


class ModelFileError(ValueError):
    """A model file cannot be read; the subclasses say why."""


class CorruptModelError(ModelFileError):
    """A model file is damaged, not whole, or no model file at all."""


class UnsafeModelError(ModelFileError):
    """A model file asks for what no model needs, or for more memory than is allowed."""


class UnsupportedVersionError(ModelFileError):
    """A model file was written by a version that this one cannot read."""
