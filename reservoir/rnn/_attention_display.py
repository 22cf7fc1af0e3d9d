"""Weights of attention as a picture."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from .._values import refuse_not_numbers

__all__ = ["AttentionDisplay"]


class AttentionDisplay:
    """What each step of an output looked at in the input: a map of the weights of attention.

    It is recommended to use `from_estimator`. Needs matplotlib (``pip install echocast[plot]``).

    Parameters
    ----------
    attention : array-like of shape (n_written, n_read)
        Weights: rows belong to the output, columns to the input.
    read, written : sequence, optional
        Labels of the columns and of the rows, such as the symbols; numbers by default.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure
    image_ : matplotlib image

    Examples
    --------
    >>> from echocast.reservoir import AttentionDisplay, Seq2SeqTransducer
    >>> X = ["abc", "cab", "ba", "acb"]
    >>> model = Seq2SeqTransducer(max_iter=2, random_state=0).fit(X, [x[::-1] for x in X])
    >>> display = AttentionDisplay.from_estimator(model, "abc")
    >>> display.ax_.get_xlabel()
    'Read'
    """

    def __init__(self, attention: Any, *, read: Any = None, written: Any = None) -> None:
        self.attention = attention
        self.read = read
        self.written = written

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        x: Any,
        *,
        X_future: Any = None,
        ax: Any = None,
        labels: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Let a fitted model write an output, and draw what it looked at.

        Parameters
        ----------
        estimator : Seq2SeqTransducer or Seq2SeqRegressor
            With attention.
        x : sequence of symbols, or ndarray of shape (n_steps, n_features)
            One input, as an item of the X of `fit`.
        X_future : array-like of shape (horizon, n_known), optional
            What is known beforehand, of a `Seq2SeqRegressor` that was fitted with it.
        ax : matplotlib Axes, optional
        labels : sequence, optional
            Labels of the input; its symbols by default.
        **kwargs
            Passed to matplotlib's ``imshow``.

        Returns
        -------
        AttentionDisplay

        Raises
        ------
        TypeError
            If the estimator is no encoder and decoder.
        ValueError
            If it has no attention, or x is no input of it.
        """
        from ._seq2seq_base import BaseSeq2Seq

        if not isinstance(estimator, BaseSeq2Seq):
            raise TypeError(
                "AttentionDisplay.from_estimator draws what a Seq2SeqTransducer or a "
                f"Seq2SeqRegressor looked at; got {type(estimator).__name__}. Weights from "
                "elsewhere, such as one head of SelfAttentionClassifier.attention, are drawn by "
                "AttentionDisplay(weights).plot()."
            )
        symbols = hasattr(estimator, "target_symbols_")
        known = {} if X_future is None else {"X_future": np.asarray(X_future)[None]}
        outputs, alphas = estimator.predict([x], return_attention=True, **known)
        read = list(x) if symbols and labels is None else labels
        display = cls(alphas[0], read=read, written=list(outputs[0]) if symbols else None)
        return display.plot(ax=ax, **kwargs)

    def plot(self, ax: Any = None, **kwargs: Any) -> Self:
        """Draw the map; the darker, the more weight.

        Parameters
        ----------
        ax : matplotlib Axes, optional
        **kwargs
            Passed to matplotlib's ``imshow``.

        Returns
        -------
        AttentionDisplay
        """
        attention = _numbers(self.attention)
        if attention.ndim != 2 or not attention.size:
            raise ValueError(
                "`attention` must be a 2-D array with a row for each step of the output, got "
                f"shape {attention.shape}; an empty output has looked at nothing."
            )
        for name, axis in (("written", 0), ("read", 1)):
            labels = getattr(self, name)
            if labels is not None and len(labels) != attention.shape[axis]:
                raise ValueError(
                    f"`{name}` has {len(labels)} label(s), but `attention` has shape "
                    f"{attention.shape}."
                )
        try:
            import matplotlib.pyplot as plt
        except ImportError as error:
            raise ImportError(
                "AttentionDisplay needs matplotlib: pip install 'echocast[plot]'."
            ) from error
        if ax is None:
            _, ax = plt.subplots()
        options = {"cmap": "Greys", "vmin": 0, "vmax": 1, "aspect": "auto", **kwargs}
        self.image_ = ax.imshow(attention, **options)
        ax.grid(False)
        if self.read is not None:
            ax.set_xticks(range(len(self.read)), map(str, self.read))
        if self.written is not None:
            ax.set_yticks(range(len(self.written)), map(str, self.written))
        ax.set(xlabel="Read", ylabel="Written")
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _numbers(attention):
    """Weights as finite floats."""
    refuse_not_numbers(attention, "attention")
    values = np.asarray(attention, dtype=np.float64)
    if not np.isfinite(values).all():
        raise ValueError("`attention` holds NaN or infinite values; weights are in [0, 1].")
    return values
