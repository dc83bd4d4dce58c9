"""A way to a server on which round trips are counted and take as long as over a network."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit


@dataclass
class Trips:
    """How often the server had to be waited for; `url` leads to it."""

    url: str
    count: int = 0


@asynccontextmanager
async def counted(url: str, milliseconds: float = 0) -> AsyncIterator[Trips]:
    """`url` through a proxy on this machine. Each change from asking to answering is a round
    trip; half of its `milliseconds` go by on each way."""
    there, writers = urlsplit(url), list[asyncio.StreamWriter]()
    tasks = set[asyncio.Task[None]]()
    loop = asyncio.get_running_loop()

    async def take(
        reader: asyncio.StreamReader,
        under_way: asyncio.Queue[tuple[float, bytes]],
        turn: list[str],
        who: str,
    ) -> None:
        data = b"begin"
        while data:
            data = await reader.read(65_536)
            if data and who == "client" and turn[0] == "server":
                trips.count += 1
            turn[0] = who
            under_way.put_nowait((loop.time() + milliseconds / 2_000, data))

    async def give(
        writer: asyncio.StreamWriter, under_way: asyncio.Queue[tuple[float, bytes]]
    ) -> None:
        while True:
            due, data = await under_way.get()
            await asyncio.sleep(max(0.0, due - loop.time()))
            if not data:
                break
            writer.write(data)
            await writer.drain()
        writer.close()

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        onward_reader, onward = await asyncio.open_connection(there.hostname, there.port)
        writers.extend((writer, onward))
        turn = ["server"]
        for one, other, who in ((reader, onward, "client"), (onward_reader, writer, "server")):
            under_way = asyncio.Queue[tuple[float, bytes]]()
            tasks.add(asyncio.create_task(take(one, under_way, turn, who)))
            tasks.add(asyncio.create_task(give(other, under_way)))

    proxy = await asyncio.start_server(connect, "127.0.0.1", 0)
    port = proxy.sockets[0].getsockname()[1]
    login = there.netloc.rpartition("@")[0]
    trips = Trips(urlunsplit(there._replace(netloc=f"{login}@127.0.0.1:{port}")))
    try:
        yield trips
    finally:
        proxy.close()
        for writer in writers:
            writer.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await proxy.wait_closed()
