"""A worker process of the local engine.

`orograph.infra.engines.local` starts it by `python -P -m orograph.infra.engines.local_worker CONNECTION LIFELINE`.

It reads pickled (runner, job) pairs from the connection and answers with a sign that it is ready, events and an end.
LIFELINE is a pipe whose other end only the driver has open: when the driver dies in any way, the pipe closes and
the worker exits.
"""

from __future__ import annotations

import os
import pickle
import sys
import threading
from multiprocessing.connection import Connection

from orograph.infra.engines.attempt import as_orograph_error, execute
from orograph.infra.engines.environment import apply_gdal_env


def main() -> None:
    """Serve jobs until the connection closes."""
    connection_fd, parent_pipe_fd = int(sys.argv[1]), int(sys.argv[2])
    apply_gdal_env()
    threading.Thread(target=_die_with_driver, args=(parent_pipe_fd,), daemon=True).start()
    connection = Connection(connection_fd)
    while True:
        try:
            message = connection.recv_bytes()
        except EOFError:
            return
        try:
            # The pair comes from our own driver over a private socket.
            runner, job = pickle.loads(message)  # noqa: S301
        except Exception as error:  # noqa: BLE001 - report a runner that cannot be imported instead of crashing the worker
            connection.send(("end", as_orograph_error(error)))
            continue
        # The runner's imports are done: the tile's own time begins.
        connection.send(("ready",))
        end = execute(runner, job, lambda stage, fraction: connection.send(("event", stage, fraction)))
        connection.send(("end", end))


def _die_with_driver(parent_pipe_fd: int) -> None:
    os.read(parent_pipe_fd, 1)
    os._exit(1)


if __name__ == "__main__":
    main()
