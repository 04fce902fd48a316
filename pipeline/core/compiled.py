"""Numba compilation with one set of options for every kernel; numba is imported when the first kernel is called.

Numba and LLVM cost 0.3 CPU seconds and 60 MB, which commands that make no tile (plan, catalogue, service) save.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final


class _Kernel:
    """A function that is compiled when it is first called; attributes are those of numba's dispatcher."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function: Final = function
        self._dispatcher: Any = None
        self.__doc__ = function.__doc__
        self.__name__ = function.__name__

    def __call__(self, *arguments: Any) -> Any:
        return (self._dispatcher or self.dispatcher())(*arguments)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.dispatcher(), name)

    def dispatcher(self) -> Any:
        """Numba's dispatcher, with those of the kernels that this one calls."""
        if self._dispatcher is None:
            # Numba resolves the names of a kernel in its module and accepts only dispatchers there.
            names = self._function.__globals__
            for name in self._function.__code__.co_names:
                if isinstance(names.get(name), _Kernel):
                    names[name] = names[name].dispatcher()
            self._dispatcher = _jitted(self._function)
        return self._dispatcher


def compiled(function: Callable[..., Any]) -> Any:
    """Compile with numba at the first call; cached on disk between processes if a cache folder is writable."""
    return _Kernel(function)


def _jitted(function: Callable[..., Any]) -> Any:
    import numba

    try:
        return numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:  # neither the package nor the user's cache folder can be written
        return numba.njit(nogil=True)(function)
