"""Labels in messages, and the series of a panel that a message is about."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

__all__ = ["current_series", "in_panel", "named", "plain"]

_LABEL: ContextVar[tuple] = ContextVar("echocast_series", default=())


@contextmanager
def named(label: Any) -> Iterator[None]:
    """Say in an error, or a warning that asks, which series it is about."""
    token = _LABEL.set((plain(label),))
    try:
        yield
    except (ValueError, TypeError) as error:
        if type(error) not in (ValueError, TypeError):  # others build their own text
            error.add_note(f"in series {plain(label)!r}")
            raise
        raise type(error)(f"Series {plain(label)!r}: {error}") from error
    finally:
        _LABEL.reset(token)


def in_panel() -> bool:
    """Whether what is read is one series of a panel."""
    return bool(_LABEL.get())


def current_series() -> str:
    """Beginning of a message about one series of a panel; empty for one that stands alone."""
    return f"Series {_LABEL.get()[0]!r}: " if in_panel() else ""


def plain(label: Any) -> Any:
    """A label whose repr is that of the Python object: 3, not np.int64(3)."""
    return label.item() if isinstance(label, np.generic) else label
