"""Names of transforms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.base import clone

from echocast._checks import refuse

from ._transforms import Deseasonalize, Difference, SeasonalDifference, Standardize, Transform
from ._transforms_power import BoxCox, Log, YeoJohnson
from ._transforms_trend import Detrend

__all__ = ["list_transforms", "register_transform", "resolve_transforms", "sparing_last"]

_REGISTRY: dict[str, Callable[[], Transform]] = {
    "box_cox": BoxCox,
    "deseasonalize": Deseasonalize,
    "detrend": Detrend,
    "difference": Difference,
    "log": Log,
    "seasonal_difference": SeasonalDifference,
    "standardize": Standardize,
    "yeo_johnson": YeoJohnson,
}
_BUILT_IN = frozenset(_REGISTRY)


def list_transforms() -> list[str]:
    """Names that the parameter `transforms` accepts, sorted.

    Examples
    --------
    >>> from echocast.forecasting import list_transforms
    >>> list_transforms()[:4]
    ['box_cox', 'deseasonalize', 'detrend', 'difference']
    """
    return sorted(_REGISTRY)


def register_transform(name: str, factory: Callable[[], Transform]) -> None:
    """Make a transform known by a name, for this process.

    Parameters
    ----------
    name : str
        A new name; a former registration under it is replaced, built-in names are not.
    factory : callable
        Returns an unfitted `Transform`, such as the class itself; called once for each fit.

    Raises
    ------
    InvalidParameterError
        If the name is not a string or is taken by the package, or `factory` cannot be called.

    Examples
    --------
    >>> from echocast.forecasting import Detrend, list_transforms, register_transform
    >>> register_transform("quadratic", lambda: Detrend(degree=2))
    >>> "quadratic" in list_transforms()
    True
    """
    if not isinstance(name, str) or not name or name == "auto" or name in _BUILT_IN:
        rule = f"a new name, other than 'auto' and {sorted(_BUILT_IN)}"
        refuse("name", "register_transform", rule, name)
    if not callable(factory):
        refuse("factory", "register_transform", "a callable without arguments", factory)
    _REGISTRY[name] = factory


def resolve_transforms(transforms: Any, owner: str) -> list[Transform]:
    """Fresh, unfitted steps from names and objects."""
    if isinstance(transforms, (str, Transform)):
        transforms = [transforms]
    rule = f"'auto' or a list of objects or names among {list_transforms()}"
    if transforms is None or not isinstance(transforms, (list, tuple)):
        refuse("transforms", owner, rule, transforms)
    steps = []
    for item in transforms:
        if isinstance(item, str) and item in _REGISTRY:
            steps.append(_made(item))
        elif isinstance(item, Transform):
            steps.append(clone(item))
        else:
            refuse("transforms", owner, rule, transforms)
    return steps


def sparing_last(transforms: Any, n_columns: int, n_spared: int, owner: str) -> Any:
    """Transforms of `n_columns` columns for rows with `n_spared` columns more, after them.

    Logarithms and powers leave those as they are: they need not be positive. All other steps act
    on them, too.
    """
    if not n_spared or (isinstance(transforms, str) and transforms == "auto"):
        return transforms
    steps: list[Any] = resolve_transforms(transforms, owner)
    for step in steps:
        mask = getattr(step, "columns", None)
        if mask is not None or (step.bends and hasattr(step, "columns")):
            own = step._mask(n_columns)
            step.columns = np.concatenate([own, np.full(n_spared, not step.bends)])
    return steps


def _made(name):
    step = _REGISTRY[name]()
    if not isinstance(step, Transform):
        raise TypeError(
            f"The transform registered as {name!r} must give a Transform. Got {type(step)}."
        )
    return clone(step)
