"""Weights of attention as a picture."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

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
        cls, estimator: Any, x: Any, *, ax: Any = None, labels: Any = None, **kwargs: Any
    ) -> Self:
        """Let a fitted model write an output, and draw what it looked at.

        Parameters
        ----------
        estimator : Seq2SeqTransducer or Seq2SeqRegressor
            With attention.
        x : sequence of symbols, or ndarray of shape (n_steps, n_features)
            One input.
        ax : matplotlib Axes, optional
        labels : sequence, optional
            Labels of the input; its symbols by default.
        **kwargs
            Passed to matplotlib's ``imshow``.

        Returns
        -------
        AttentionDisplay
        """
        symbols = hasattr(estimator, "target_symbols_")
        outputs, alphas = estimator.predict([x], return_attention=True)
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
        attention = np.asarray(self.attention)
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
