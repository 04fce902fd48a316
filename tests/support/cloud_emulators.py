"""Local servers that imitate Google Cloud Storage and Azure Blob Storage, each by its own program."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

from tests.support.rgw import free_port

_AZURE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""The published key of every emulator's only account."""


def command_of(protocol: str) -> list[str] | None:
    """The emulator of a protocol; None where it is not installed."""
    if protocol == "gs":
        is_here = importlib.util.find_spec("gcp_storage_emulator") is not None
        return [sys.executable, "-W", "ignore", "-m", "gcp_storage_emulator"] if is_here else None
    found = os.environ.get("OROGRAPH_AZURITE") or shutil.which("azurite-blob")
    return None if found is None else [found]


def options_of(protocol: str, url: str) -> dict[str, str | int | float | bool]:
    """`access.options` of sources at a server."""
    if protocol == "gs":
        return {"endpoint_url": url, "token": "anon"}
    account = f"AccountName=devstoreaccount1;AccountKey={_AZURE_KEY};BlobEndpoint={url}/devstoreaccount1;"
    return {"connection_string": f"DefaultEndpointsProtocol=http;{account}"}


@contextlib.contextmanager
def running(protocol: str) -> Iterator[dict[str, str | int | float | bool]]:
    """A server of an empty object store; yields `access.options` of sources in it."""
    port, command = free_port(), command_of(protocol)
    assert command is not None
    if protocol == "gs":
        command += ["start", "--host", "127.0.0.1", "--port", str(port), "--in-memory"]
    else:
        quiet = ["--silent", "--skipApiVersionCheck", "--inMemoryPersistence", "--disableTelemetry"]
        command += ["--blobHost", "127.0.0.1", "--blobPort", str(port), *quiet]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _await(port, server)
        yield options_of(protocol, f"http://127.0.0.1:{port}")
    finally:
        server.terminate()
        server.wait(20)


def _await(port: int, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while server.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.1)
    raise RuntimeError("the emulator did not start")
