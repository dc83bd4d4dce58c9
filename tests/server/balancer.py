"""Several servers behind one address: each request goes to the next one."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import cycle
from typing import Any

HEAD_MAX = 65_536


@asynccontextmanager
async def balancing(port: int, servers: Sequence[int]) -> AsyncIterator[list[int]]:
    """Listen on `port` for as long as the block lasts. Gives the ports that were asked, one a
    request: a connection is closed after its first, as if by a balancer that keeps none."""
    asked: list[int] = []
    turns = cycle(servers)
    serving: set[asyncio.Task[None]] = set()

    async def serve(reader: Any, writer: Any) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            first, _, rest = (await reader.readuntil(b"\r\n\r\n")).partition(b"\r\n")
            asked.append(next(turns))
            upstream, onward = await asyncio.open_connection("127.0.0.1", asked[-1])
            onward.write(first + b"\r\nConnection: close\r\n" + without_connection(rest))
            sending = asyncio.create_task(copy(reader, onward))
            try:
                await copy(upstream, writer)
            finally:
                sending.cancel()
                onward.close()

    def begin(reader: Any, writer: Any) -> None:
        task = asyncio.create_task(serve(reader, writer))
        serving.add(task)
        task.add_done_callback(serving.discard)
        task.add_done_callback(lambda _done: writer.close())

    server = await asyncio.start_server(begin, "127.0.0.1", port, limit=HEAD_MAX)
    async with server:
        yield asked
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)


def without_connection(head: bytes) -> bytes:
    lines = head.split(b"\r\n")
    return b"\r\n".join(line for line in lines if not line.lower().startswith(b"connection:"))


async def copy(reader: Any, writer: Any) -> None:
    with suppress(ConnectionError):
        while piece := await reader.read(HEAD_MAX):
            writer.write(piece)
            await writer.drain()
