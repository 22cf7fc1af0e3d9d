"""The methods `save` and `load` of everything that can be stored in a model file."""

from __future__ import annotations

from typing import Any, Self

__all__ = ["ModelFiles"]


class ModelFiles:
    """Abstract: objects that `echocast.save` takes, under the names of their classes."""

    def save(self, path: Any, *, overwrite: bool = True) -> Any:
        """Write this fitted model to a file; `echocast.save` says how.

        Parameters
        ----------
        path : path-like or binary file object
        overwrite : bool, default=True
            Whether an existing file is replaced.

        Returns
        -------
        Path or None
            The resolved path; None for a file object.
        """
        from ._files import save

        return save(self, path, overwrite=overwrite)

    @classmethod
    def load(
        cls,
        path: Any,
        *,
        max_bytes: int = 2**31,
        sha256: str | None = None,
        strict_version: bool = False,
    ) -> Self:
        """Read a model of this class; `echocast.load` says how, and reads any.

        Parameters
        ----------
        path, max_bytes, sha256, strict_version
            As in `echocast.load`.

        Returns
        -------
        model

        Raises
        ------
        TypeError
            If the file holds a model of another class.
        """
        from ._files import load

        model = load(path, max_bytes=max_bytes, sha256=sha256, strict_version=strict_version)
        if not isinstance(model, cls):
            raise TypeError(
                f"{cls.__name__}.load was given a file that holds a {type(model).__name__}; "
                "echocast.load reads any model."
            )
        return model
