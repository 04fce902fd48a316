"""Numba compilation with one set of options for every kernel; numba is imported when the first kernel is called.

Numba and LLVM cost 0.3 CPU seconds and 60 MB, which commands that make no tile (plan, catalogue, service) save. Compiling
takes a second per kernel, once per machine: inside `numpy_forms` a kernel that has one runs its numpy form instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import RLock
from types import ModuleType
from typing import Any, Final

NUMPY_FORMS: Final[ContextVar[bool]] = ContextVar("numpy_forms", default=False)
"""Whether numpy forms of kernels are in use in this context."""


@contextmanager
def numpy_forms(*, used: bool) -> Iterator[None]:
    """Context in which kernels with a numpy form run that one, if `used`."""
    token = NUMPY_FORMS.set(used)
    try:
        yield
    finally:
        NUMPY_FORMS.reset(token)


_LOCK: Final = RLock()
"""Threads share dispatchers: each would compile its own."""


class _Kernel:
    """A function that is compiled when it is first called; attributes are those of numba's dispatcher."""

    def __init__(
        self, function: Callable[..., Any], numpy_form: Callable[..., Any] | None, options: dict[str, Any]
    ) -> None:
        self._function: Final = function
        self._numpy_form: Final = numpy_form
        self._options: Final = options
        self._dispatcher: Any = None
        self.__doc__ = function.__doc__
        self.__name__ = function.__name__

    def __call__(self, *arguments: Any) -> Any:
        if self._numpy_form is not None and NUMPY_FORMS.get():
            return self._numpy_form(*arguments)
        return (self._dispatcher or self.dispatcher())(*arguments)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.dispatcher(), name)

    def dispatcher(self) -> Any:
        """Numba's dispatcher, with those of the kernels that this one calls."""
        with _LOCK:
            if self._dispatcher is None:
                self._prepare_callees()
                self._dispatcher = _jitted(self._function, self._options)
            return self._dispatcher

    def _prepare_callees(self) -> None:
        """Numba resolves a kernel's names in its module and in modules named there, and accepts only dispatchers."""
        own, used = self._function.__globals__, self._function.__code__.co_names
        for names in (own, *(vars(own[name]) for name in used if isinstance(own.get(name), ModuleType))):
            for name in used:
                if isinstance(names.get(name), _Kernel):
                    names[name] = names[name].dispatcher()


def compiled(function: Callable[..., Any]) -> Any:
    """Compile with numba at the first call; cached on disk between processes if a cache folder is writable."""
    return _Kernel(function, None, {})


def compiled_with(
    *, numpy_form: Callable[..., Any] | None = None, **options: Any
) -> Callable[[Callable[..., Any]], Any]:
    """`compiled` with a numpy form of the same arguments, or with options of `numba.njit`."""
    return lambda function: _Kernel(function, numpy_form, options)


def _jitted(function: Callable[..., Any], options: dict[str, Any]) -> Any:
    import numba

    try:
        return numba.njit(cache=True, nogil=True, **options)(function)
    except RuntimeError:  # neither the package nor the user's cache folder can be written
        return numba.njit(nogil=True, **options)(function)
