"""Market data into the store: bars and fundamentals, which become conditions of new trades."""

import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import click
from sqlalchemy.ext.asyncio import AsyncSession

from store.cli.terminal import as_json_option, run, say, say_json, user_option
from store.database import Store
from store.errors import Invalid
from store.market_data import (
    PERIODS,
    Kept,
    MarketFile,
    Period,
    keep_bars,
    keep_fundamentals,
    read_bars,
    read_fundamentals,
)
from store.market_pruning import old_bars, prune_bars
from store.restating import add_market_facts, without_market_facts

Keep = Callable[[AsyncSession, MarketFile], Awaitable[Kept]]
REJECTIONS_SHOWN = 20

file_argument = click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
take_good_option = click.option(
    "--take-good", is_flag=True, help="Keep good rows though others are refused."
)


class ClockType(click.ParamType[timedelta]):
    """A time of day up to 24:00, as the time since midnight."""

    name = "HH:MM"

    def convert(
        self, value: str | timedelta, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        if isinstance(value, timedelta):
            return value
        found = re.fullmatch(r"([01]?[0-9]|2[0-4]):([0-5][0-9])", value)
        said = timedelta(hours=int(found[1]), minutes=int(found[2])) if found else timedelta()
        if not timedelta() < said <= timedelta(days=1):
            self.fail(f"'{value[:80]}'; a time such as 16:00 is accepted.")
        return said


@click.group(epilog="Example: trade-history market bars SPY.csv --ticker SPY")
def market() -> None:
    """Market data. What was known of it at entry becomes a condition of a new trade."""


@market.command(epilog="Example: trade-history market bars SPY.csv --ticker SPY")
@file_argument
@click.option("--period", type=click.Choice(PERIODS), default="1d", show_default=True)
@click.option("--ticker", help="Whose bars they are, where the file names none.")
@click.option("--zone", help="The market's: America/New_York unless said.")
@click.option("--close", type=ClockType(), default="16:00", show_default=True,
              help="When the market closes: a daily bar is known from then on.")  # fmt: skip
@take_good_option
@as_json_option
def bars(
    file: Path,
    period: Period,
    ticker: str | None,
    zone: str | None,
    close: timedelta,
    take_good: bool,
    as_json: bool,
) -> None:
    """Keep the bars of FILE: date, open, high, low, close, volume."""
    found = read_bars(file, period, ticker=ticker, zone=zone, close=close)
    say_kept(found, keep(found, keep_bars, take_good), "bars", as_json)


@market.command(epilog="Example: trade-history market fundamentals companies.csv")
@file_argument
@take_good_option
@as_json_option
def fundamentals(file: Path, take_good: bool, as_json: bool) -> None:
    """Keep the facts of FILE: ticker, known_on, and name and value or a column for each."""
    found = read_fundamentals(file)
    say_kept(found, keep(found, keep_fundamentals, take_good), "facts", as_json)


@market.command(epilog="Example: trade-history market attach --preview")
@user_option
@click.option("--preview", is_flag=True, help="Only say how many trades would be restated.")
@as_json_option
def attach(user: int | None, preview: bool, as_json: bool) -> None:
    """Restate closed trades that were recorded before the data of their entry was there.

    Each gets what it would have been given then, and a new number; the older one stays
    readable. Open trades stay as they are.
    """

    async def attached(store: Store) -> int:
        async with store.read(user) as session:
            numbers = await without_market_facts(session)
        for number in () if preview else numbers:
            async with store.write(user) as session:
                await add_market_facts(session, number)
        return len(numbers)

    count = run(attached)
    if as_json:
        say_json({"trades": count, "restated": not preview})
        return
    say(f"{count} trades {'would be' if preview else 'are'} restated.")


@market.command(epilog="Example: trade-history market prune --before 2024-01-01 --period 1m")
@click.option("--before", type=click.DateTime(["%Y-%m-%d"]), required=True, metavar="DAY",
              help="Bars that opened before this day (UTC).")  # fmt: skip
@click.option("--period", "periods", type=click.Choice(PERIODS), multiple=True,
              help="Only bars of this period; may be repeated.")  # fmt: skip
@click.option("--preview", is_flag=True, help="Only say how many bars would be removed.")
@click.option("--yes", is_flag=True, help="Do not ask first.")
@as_json_option
def prune(
    before: datetime, periods: tuple[Period, ...], preview: bool, yes: bool, as_json: bool
) -> None:
    """Remove old bars, of every ticker.

    What trades were given of them stays. A trade that is recorded later looks back 420 days
    from its entry for daily bars, so keep those longer.
    """
    day, chosen = before.date(), periods or PERIODS

    async def counted(store: Store) -> dict[str, int]:
        async with store.operate() as session:
            return await old_bars(session, day, chosen)

    async def pruned(store: Store) -> dict[str, int]:
        async with store.operate(write=True) as session:
            return await prune_bars(session, day, chosen)

    found = run(counted, patient=True)
    if found and not preview:
        if not yes:
            click.confirm(f"Remove {listed(found)} from before {day}?", abort=True, err=True)
        found = run(pruned, patient=True)
    if as_json:
        say_json({"before": day, "bars": found, "removed": not preview})
        return
    say(f"{listed(found)} from before {day} {'would be' if preview else 'are'} removed.")


def listed(bars: Mapping[str, int]) -> str:
    each = ", ".join(f"{count:,} of {period}" for period, count in bars.items())
    return f"{sum(bars.values()):,} bars ({each})" if bars else "0 bars"


def keep(file: MarketFile, keep_rows: Keep, take_good: bool) -> Kept:
    if file.rejected and not take_good:
        listed = [str(one) for one in file.rejected[:REJECTIONS_SHOWN]]
        if len(file.rejected) > REJECTIONS_SHOWN:
            listed.append(f"and {len(file.rejected) - REJECTIONS_SHOWN} more rows")
        rows = len(file.rows) + len(file.rejected)
        raise Invalid(
            f"{len(file.rejected)} of {rows} rows of {file.path.name} are refused, so none was kept"
            " (--take-good keeps the others):\n" + "\n".join(listed)
        )

    async def kept(store: Store) -> Kept:
        async with store.operate(write=True) as session:
            return await keep_rows(session, file)

    return run(kept)


def say_kept(file: MarketFile, kept: Kept, what: str, as_json: bool) -> None:
    if as_json:
        say_json(as_dict(file, kept))
        return
    say(f"{file.path.name}: {kept.new} {what} are new, {kept.changed} were changed,"
        f" {kept.same} were there; {len(file.rejected)} rows refused.")  # fmt: skip
    if file.unused:
        say(f"  left out  the columns {', '.join(file.unused)}")
    for rejection in file.rejected:
        say(f"  refused   {rejection}")


def as_dict(file: MarketFile, kept: Kept) -> dict[str, Any]:
    return {
        "file": str(file.path),
        **vars(kept),
        "unused": list(file.unused),
        "rejected": [vars(one) for one in file.rejected],
    }
