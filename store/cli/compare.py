"""Two accounts held against each other, trade by trade."""

from datetime import datetime
from typing import Any

import click

from store.cli.completion import account_names
from store.cli.terminal import as_json_option, run, say, say_json, user_option
from store.cli.trades import say_table
from store.comparing import Book, ClosedTrade, Comparison, Pair, Slippage
from store.comparing import compare as compared
from store.queries.answer import money, plain

DAY = click.DateTime(["%Y-%m-%d"])


@click.command(
    epilog='Example: trade-history compare "Option Omega" "Option Omega live" --since 2025-07-01'
)
@click.argument("account", shell_complete=account_names)
@click.argument("other", metavar="WITH", shell_complete=account_names)
@click.option("--since", type=DAY, metavar="DAY", help="Day of entry, inclusive.")
@click.option("--until", type=DAY, metavar="DAY", help="The same, exclusive.")
@user_option
@as_json_option
def compare(
    account: str,
    other: str,
    since: datetime | None,
    until: datetime | None,
    user: int | None,
    as_json: bool,
) -> None:
    """Match the closed trades of ACCOUNT and WITH, and say the slippage of each.

    For a backtest, or paper, against the same strategy dealt live. Trades match that have one
    ticker, one day of entry (in the zone of ACCOUNT) and the same legs, in order of entry, each
    once; where one account has more of them, the pairs are ambiguous and count in no total.
    Slippage is above 0 where WITH did worse: per unit as prices are, and in currency for
    the quantity of WITH. Differences of fees and net P&L are WITH minus ACCOUNT.
    """
    found = run(
        lambda store: store.answer(
            lambda session: compared(
                session, account, other, since=since and since.date(), until=until and until.date()
            ),
            user,
        ),
        patient=True,
    )
    say_json(as_dict(found)) if as_json else say_comparison(found)


def say_comparison(found: Comparison) -> None:
    """The totals in sentences, the pairs in a table, then the trades without a match."""
    account, other, total = found.account, found.other, found.slippage
    say(
        f"{len(found.pairs)} pairs of {account.name} ({account.mode}) and {other.name}"
        f" ({other.mode}), in {found.currency}, by days of {found.zone}."
    )
    if total.n:
        say(
            f"Slippage {money(total.total)}: {money(total.entry)} at entry, {money(total.exit)} at"
            f" exit; {money(total.mean)} a pair (n={total.n}{interval(total)}). Above 0,"
            f" {other.name} did worse."
        )
        say_sides(found)
    for (here, there), n in differing(found):
        say(f"Outcome {here} in {account.name}, {there} in {other.name}: {n}.")
    if ambiguous := len(found.pairs) - total.n:
        say(
            f"{ambiguous} pairs count in no total: one account has more such trades of the day, so"
            " which belong together is not certain."
        )
    say_table([row(pair) for pair in found.pairs])
    for book in (account, other):
        say(
            f"Without a match in {book.name}: {len(book.unmatched)}; open and not compared:"
            f" {book.open}."
        )
        say_table([alone(trade) for trade in book.unmatched])


def interval(total: Slippage) -> str:
    if total.mean_low is None or total.mean_high is None:
        return ""
    return f", 90 %: {money(total.mean_low)} to {money(total.mean_high)}"


def say_sides(found: Comparison) -> None:
    account, other = found.account, found.other
    say(
        f"Fees of the pairs: {money(account.fees)} and {money(other.fees)}; net P&L:"
        f" {money(account.net_pnl)} and {money(other.net_pnl)}."
    )
    if unequal := sum(pair.per_unit for pair in found.certain):
        say(f"{unequal} pairs differ in quantity: their fees and net P&L are compared per unit.")


def row(pair: Pair) -> dict[str, Any]:
    """A pair as a line of the table."""
    return {
        "day": pair.day,
        "ticker": pair.account.ticker,
        "trade": pair.account.number,
        "with": pair.other.number,
        "entry": plain(pair.account.entry_price),
        "with_entry": plain(pair.other.entry_price),
        "exit": plain(pair.account.exit_price),
        "with_exit": plain(pair.other.exit_price),
        "entry_slippage": plain(pair.entry_slippage),
        "exit_slippage": plain(pair.exit_slippage),
        "slippage_amount": money(pair.amount),
        "fees_difference": money(pair.fees_difference),
        "net_difference": money(pair.net_difference),
        "per": "unit" if pair.per_unit else None,
        "match": "ambiguous" if pair.ambiguous else None,
    }


def alone(trade: ClosedTrade) -> dict[str, Any]:
    return {
        "number": trade.number,
        "ticker": trade.ticker,
        "opened_at": trade.opened_at.isoformat(),
        "quantity": plain(trade.quantity),
        "entry_price": plain(trade.entry_price),
        "exit_price": plain(trade.exit_price),
        "fees": money(trade.fees),
        "net_pnl": money(trade.net_pnl),
        "outcome": trade.outcome,
    }


def as_dict(found: Comparison) -> dict[str, Any]:
    total = found.slippage
    return {
        "account": book(found.account),
        "with": book(found.other),
        "currency": found.currency,
        "zone": found.zone,
        "n": total.n,
        "n_ambiguous": len(found.pairs) - total.n,
        "slippage_amount": money(total.total),
        "entry_amount": money(total.entry),
        "exit_amount": money(total.exit),
        "slippage_mean": money(total.mean),
        "slippage_mean_low": money(total.mean_low),
        "slippage_mean_high": money(total.mean_high),
        "outcomes_differing": [
            {"account": here, "with": there, "n": n} for (here, there), n in differing(found)
        ],
        "pairs": [pair_as_dict(pair) for pair in found.pairs],
    }


def book(one: Book) -> dict[str, Any]:
    return {
        "name": one.name,
        "mode": one.mode,
        "fees": money(one.fees),
        "net_pnl": money(one.net_pnl),
        "open": one.open,
        "n_unmatched": len(one.unmatched),
        "unmatched": [alone(trade) for trade in one.unmatched],
    }


def differing(found: Comparison) -> list[tuple[tuple[str, str], int]]:
    """Most pairs first."""
    return sorted(found.differing.items(), key=lambda one: (-one[1], one[0]))


def pair_as_dict(pair: Pair) -> dict[str, Any]:
    return {
        "day": pair.day.isoformat(),
        "ticker": pair.account.ticker,
        "account": alone(pair.account),
        "with": alone(pair.other),
        "entry_slippage": plain(pair.entry_slippage),
        "exit_slippage": plain(pair.exit_slippage),
        "slippage": plain(pair.slippage),
        "entry_amount": money(pair.entry_amount),
        "exit_amount": money(pair.exit_amount),
        "slippage_amount": money(pair.amount),
        "per_unit": pair.per_unit,
        "fees_difference": money(pair.fees_difference),
        "net_difference": money(pair.net_difference),
        "ambiguous": pair.ambiguous,
    }
