"""Passes connections on between a port and a Unix socket, which a network namespace does not hide: FROM TO."""

from __future__ import annotations

import asyncio
import contextlib
import sys


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    writer.close()


async def forward(source: str, target: str) -> None:
    """Listen at one address and connect to the other; an address is a port of this machine or a path."""

    async def passed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if target.isdigit():
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", int(target))
        else:
            far_reader, far_writer = await asyncio.open_unix_connection(target)
        await asyncio.gather(_pipe(reader, far_writer), _pipe(far_reader, writer))

    if source.isdigit():
        server = await asyncio.start_server(passed, "127.0.0.1", int(source))
    else:
        server = await asyncio.start_unix_server(passed, source)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(forward(*sys.argv[1:3]))
