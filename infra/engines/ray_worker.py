"""Code of the actors of a run.

Only the standard library is imported at the top, so that a node with an incomplete image can report the cause.
"""

from __future__ import annotations

import os
import socket
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from orograph.infra.engines.protocol import Receipt, Runner
    from orograph.pipeline.core.runnable import Runnable
    from orograph.pipeline.errors import OrographError

_POST_S: Final = 2.0
"""How long a worker waits for its sign of life to arrive; without an answer it goes on."""


@dataclass(frozen=True, slots=True)
class PreparedWorker:
    """Result of starting a worker, and its node.

    Attributes:
        node: Ray's id of the node.
        label: Host name, address and the id's first digits.
        error: An error of the tree, or the last line of another exception; None when the worker is ready.
    """

    node: str
    label: str
    error: OrographError | str | None = None


class TileWorker:
    """One process, one tile at a time."""

    def __init__(self, queue: Any) -> None:
        self._queue = queue
        self._runner: Runner[Any] | None = None

    def prepare(self, pickled_runner: bytes, environment: Mapping[str, str]) -> PreparedWorker:
        """Import the modules that jobs need and check the node; this time does not count towards a job's deadline.

        Args:
            pickled_runner: The runner.
            environment: Variables to set before numpy and GDAL are imported, which read some of them once.
        """
        import ray

        node = str(ray.get_runtime_context().get_node_id())
        address: Any = ray.util.get_node_ip_address()  # type: ignore[no-untyped-call]
        label = f"{socket.gethostname()} ({address}, node {node[:8]})"
        try:
            os.environ.update(environment)
            self._runner = ray.cloudpickle.loads(pickled_runner)
            check = getattr(self._runner, "check_node", None)
            if check is not None:
                check()
        except Exception as error:  # noqa: BLE001 - whatever it is, the driver names it
            return PreparedWorker(node, label, _sendable(error))
        return PreparedWorker(node, label)

    def run(self, job: Runnable, ticket: int) -> Receipt | OrographError:
        """Run one job; errors are returned, because Ray wraps or loses those that are raised."""
        import ray

        from orograph.infra.engines.attempt import execute

        begun = ""

        def post(stage: str, fraction: float) -> None:
            nonlocal begun
            posted = self._queue.post.remote(ticket, stage, fraction)
            if stage != begun:
                # Should this process be killed in the stage, the driver must be able to name it.
                ray.wait([posted], timeout=_POST_S)
                begun = stage

        if self._runner is None:
            raise RuntimeError("prepare() was not called")
        return execute(self._runner, job, post)


class EventQueue:
    """Keeps the workers' progress events until the driver fetches them."""

    def __init__(self) -> None:
        self._events: list[tuple[int, str, float]] = []

    def post(self, ticket: int, stage: str, fraction: float) -> None:
        """Add an event."""
        self._events.append((ticket, stage, fraction))

    def fetch(self) -> list[tuple[int, str, float]]:
        """Return and remove all events."""
        events, self._events = self._events, []
        return events


def _sendable(error: Exception) -> OrographError | str:
    try:
        from orograph.pipeline.errors import OrographError
    except Exception:  # noqa: BLE001 - the package itself cannot be imported here
        return _last_line(error)
    return error if isinstance(error, OrographError) else _last_line(error)


def _last_line(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}: {error}{where}"[:600]
