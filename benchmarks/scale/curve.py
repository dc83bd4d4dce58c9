"""How answers grow: with the trades of everybody together, and with one's own.

Of everybody: an ordinary user with 1,000 trades asks, in ledgers from 1,000 to 10 million. Of
one's own: users with 1,000 to a million trades ask, all in one ledger.
"""

import csv
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.machines import say, settings_for
from benchmarks.scale.asking import doors, warm
from benchmarks.scale.filling import Sizes, fill, sizes
from benchmarks.scale.plot import Line, Panel, plot
from benchmarks.scale.running import trades_by_user
from store.schema import upgrade

OF_EACH = 1_000
DECADES = (1_000, 10_000, 100_000, 1_000_000, 10_000_000)
OWN_MOST = 1_000_000
MANY = 100_000  # Trades of one user from which few calls are enough.
KINDS = ("floor", "store", "stdio", "empty_stdio")
CURVES = {
    "all": "Trades of all users; the asking one has 1,000",
    "own": "Trades of the asking user",
}

Point = dict[str, Any]
Place = Callable[[str], Awaitable[str]]  # The address of the database of a name, made if need be.


@dataclass(frozen=True)
class Asked:
    """One point of a curve: who asks, in which database."""

    curve: str
    trades: int
    database: str
    sizes: Sizes
    user: int


def points(largest: int) -> Iterator[Asked]:
    """Every point up to `largest` trades; those of one's own share a database."""
    for total in DECADES:
        if total <= largest:
            everybody = sizes(total // OF_EACH, OF_EACH)
            user = len(everybody.trades) // 2 + 1
            yield Asked("all", total, f"growth_{total}", everybody, user)
    own = tuple(count for count in DECADES if count <= min(largest, OWN_MOST))
    for user, count in enumerate(own, start=1):
        yield Asked("own", count, f"own_{own[-1]}", Sizes(own), user)


async def measure(place: Place, largest: int, calls: int) -> list[Point]:
    """The times of every tool at every point; databases that are there are used again."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for asked in points(largest):
            url = await place(asked.database)
            await _filled(url, asked.sizes)
            say(f"{CURVES[asked.curve]}: {asked.trades:,}")
            few = asked.curve == "own" and asked.trades >= MANY
            async with doors(settings_for(url, asked.user), Path(folder), http=False) as of_user:
                tools = await warm(of_user, max(3, calls // 10) if few else calls, 1 if few else 10)
            for one in tools:
                found.append({"curve": asked.curve, "trades": asked.trades, **one.numbers()})
    return found


async def _filled(url: str, wanted: Sizes) -> None:
    settings = settings_for(url, 1)
    await upgrade(settings)
    if not await trades_by_user(url):
        await fill(settings, wanted)


def write(found: Sequence[Point], folder: Path) -> None:
    """The points as CSV, as a table in Markdown, and as a plot."""
    rows = [_flat(point) for point in found]
    with (folder / "curve.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    (folder / "curve.md").write_text("\n".join(markdown(found)) + "\n")
    (folder / "curve.svg").write_text(plot(list(_panels(found))))


def _flat(point: Point) -> dict[str, Any]:
    times = {
        f"{kind}_{part}_ms": round(point[kind][part], 3) if kind in point else ""
        for kind in KINDS
        for part in ("p50", "p99")
    }
    return {"curve": point["curve"], "trades": point["trades"], "tool": point["tool"], **times}


def markdown(found: Sequence[Point]) -> Iterator[str]:
    for curve, title in CURVES.items():
        some = [point for point in found if point["curve"] == curve]
        trades = list(dict.fromkeys(point["trades"] for point in some))
        yield f"{title}: store p50 / p99 in ms (floor p50)\n"
        yield "| tool | " + " | ".join(f"{count:,}" for count in trades) + " |"
        yield "|---|" + "---|" * len(trades)
        for tool in dict.fromkeys(point["tool"] for point in some):
            cells = [_cell(point) for point in some if point["tool"] == tool]
            yield f"| {tool} | " + " | ".join(cells) + " |"
        yield ""


def _cell(point: Point) -> str:
    if "refused" in point:
        return "refused"
    store = point["store"]
    return f"{store['p50']:.1f} / {store['p99']:.1f} ({point['floor']['p50']:.2f})"


def _panels(found: Sequence[Point]) -> Iterator[Panel]:
    for curve, title in CURVES.items():
        some = [point for point in found if point["curve"] == curve and "store" in point]
        tools = list(dict.fromkeys(point["tool"] for point in some))
        yield Panel(
            title,
            [
                Line(
                    tool,
                    [(p["trades"], p[kind]["p50"]) for p in some if p["tool"] == tool],
                    dashed=kind == "floor",
                )
                for tool in tools
                for kind in ("store", "floor")
            ],
        )
