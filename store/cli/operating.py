"""What all users' trades add up to: the commands of whoever runs a store."""

import time
from collections.abc import Iterator
from typing import get_args

import click

from store.cli.terminal import WRONG, as_json_option, counted, run, say, say_done, say_json
from store.database import Store
from store.folding import Report, fold_all, rebuild_fold, report, wrong_fold
from store.folding.adding import Mode
from store.folding.report import GROUPS, By, Results


@click.group(epilog="Example: trade-history operator report --by strategy")
def operator() -> None:
    """All users' closed trades together, exact at every moment.

    Their sums are kept in the fold. What is not folded yet is added to every answer; the more
    of it there is, the slower they are.
    """


@operator.command("report", epilog="Example: trade-history operator report --by strategy")
@click.option("--by", type=click.Choice(get_args(By)), help="Also in groups.")
@click.option("--mode", type=click.Choice(get_args(Mode)))
@click.option("--currency", type=str.upper, help="Such as USD.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=GROUPS, show_default=True,
              help="Groups at most.")  # fmt: skip
@as_json_option
def report_(
    by: By | None, mode: Mode | None, currency: str | None, limit: int, as_json: bool
) -> None:
    """How everybody's closed trades do, by mode and currency."""

    async def reported(store: Store) -> Report:
        async with store.operate() as session:
            return await report(session, by=by, mode=mode, currency=currency, limit=limit)

    found = run(reported, patient=True)
    if as_json:
        say_json(found.model_dump(mode="json"))
        return
    for line in lines(found):
        say(line)


def lines(found: Report) -> Iterator[str]:
    if not found.books:
        yield "No closed trades."
        return
    for book in found.books:
        yield f"{book.mode}, {book.currency}: {results(book.overall)}"
        for group in book.groups:
            yield f"  {group.value or 'none'}: {results(group)}"
        if book.groups_left_out:
            yield f"  and {counted(book.groups_left_out, 'more group')} (--limit)"
    yield f"Intervals: {found.intervals}."


def results(found: Results) -> str:
    if found.win_rate is None:
        rate = "no decided trade"
    else:
        low, high = found.win_rate_low, found.win_rate_high
        rate = f"win rate {found.win_rate:.1%} ({low:.1%} to {high:.1%})"
    return (
        f"n={found.n}, {found.wins} won, {found.losses} lost, {found.breakevens} break-even,"
        f" {rate}, net {found.net_pnl} (gross {found.gross_pnl}, fees {found.fees})"
    )


@operator.command(epilog="Example: trade-history operator fold --every 60")
@click.option("--every", type=click.IntRange(1, 86_400), help="Again after so many seconds.")
@as_json_option
def fold(every: int | None, as_json: bool) -> None:
    """Add what is not folded yet to the fold, beside whoever records."""
    while True:
        count = run(fold_all, patient=True)
        say_done({"folded": count}, f"{counted(count, 'change')} folded.", as_json)
        if every is None:
            return
        time.sleep(every)


@operator.command(epilog="Example: trade-history operator verify")
@as_json_option
@click.pass_context
def verify(ctx: click.Context, as_json: bool) -> None:
    """Hold the sums against a scan of every closed trade; exit code 6 if one differs."""
    wrong = run(checked, patient=True)
    right = "The fold and what is not folded yet are what all closed trades add up to."
    say_done({"wrong": wrong}, f"WRONG: {wrong}" if wrong else right, as_json)
    if wrong:
        ctx.exit(WRONG)


async def checked(store: Store) -> str | None:
    async with store.operate() as session:
        return await wrong_fold(session)


@operator.command(epilog="Example: trade-history operator rebuild")
@as_json_option
def rebuild(as_json: bool) -> None:
    """Make the fold anew from every closed trade, beside whoever records or asks."""
    count = run(rebuild_fold, patient=True)
    line = f"The fold is made anew; {counted(count, 'sum')} of it had been wrong."
    say_done({"wrong_before": count}, line, as_json)
