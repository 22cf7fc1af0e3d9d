"""Keep scikit-learn's searches from maximising `score`, which for forecasters is an error."""

from __future__ import annotations

import inspect

__all__ = ["refuse_as_scorer"]


def refuse_as_scorer(owner: str) -> None:
    """Refuse a call by scikit-learn that would take a forecaster's `score` for a gain.

    Nothing that an estimator can say of itself tells ``scoring=None`` that less is better, so the
    caller is looked at: the scorer that passes `score` on, or the loop over folds that holds it,
    where failing early makes it stop instead of going on with NaN.
    """
    frame = inspect.currentframe()
    while frame is not None and frame.f_globals.get("__name__", "").startswith("echocast."):
        frame = frame.f_back
    module = "" if frame is None else frame.f_globals.get("__name__", "")
    if frame is None or not module.startswith("sklearn."):
        return
    scorers = [frame.f_locals.get(name) for name in ("self", "scorer")]
    scorers += [one for many in scorers for one in getattr(many, "_scorers", {}).values()]
    if any(type(scorer).__name__ == "_PassthroughScorer" for scorer in scorers):
        raise TypeError(
            f"`score` of {owner} is an error, and lower is better; scikit-learn takes the largest "
            "score and would choose the worst. Use ForecastSearchCV to choose settings, backtest "
            "to score them (or pass scoring= a function that negates the error)."
        )
