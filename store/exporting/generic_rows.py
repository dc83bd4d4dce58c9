"""Trades in the CSV format that an import reads, those left out that it cannot say.

The format has one row per trade: one leg, one entry, one exit, and the fees of both in one
number. Whether a row says its trade is asked of the importer itself: what it would make of
the row has to have the same instrument, moments, prices, P&L, outcome and facts at entry.
"""

from collections.abc import Collection
from decimal import Decimal, localcontext
from typing import Any

from store.accounts import AccountEntry
from store.derived import facts, leg_of
from store.errors import Invalid
from store.exporting.pages import Exported
from store.exporting.report import Report
from store.fixed import Row as StoredRow
from store.importers.formulas import guarded
from store.importers.generic_csv import CONDITION, FACTS, Books, drafted
from store.importers.imported import ImportTrade, Options
from store.importers.table import Row
from store.models import Account
from store.pnl import PRECISION
from store.queries.answer import plain
from store.statements.refusing import Refused

HEADER = (
    "external_id", "opened_at", "closed_at", "account", "mode", "ticker", "direction",
    "strategy", "structure", "instrument", "option_type", "strike", "expiry", "multiplier",
    "quantity", "entry_price", "exit_price", "fees", *FACTS, "exit_reason", "status", "notes",
)  # fmt: skip
SAID = ("ticker", "strategy", *FACTS)
INSTRUMENT = ("instrument", "option_type", "strike", "expiry", "multiplier")
CORRECTED = "superseded or void"
LEGS = "of several legs"
FILLS = "of several entries or exits"
OTHER = "with something that has no column"


class GenericRows:
    """`ambiguous` are account and external id of trades that share the id with another."""

    def __init__(self, report: Report, ambiguous: Collection[tuple[int, str]]) -> None:
        self.report, self.ambiguous = report, ambiguous
        self.books = Books(Options())  # Looks at each account once: zones are slow to check.
        self.accounts: set[int] = set()

    def of(self, one: Exported) -> list[dict[str, Any]]:
        """The trade's row, or none, which is counted."""
        note = self._note(one)
        row = None if (reason := unsayable(one)) else self._row(one, note)
        if row is None or not says(one, row, note, self.books):
            self.report.left_out[reason or OTHER] += 1
            return []
        self._look_at(one.account)
        return [row]

    def _look_at(self, account: Account) -> None:
        if account.account_id not in self.accounts and not usual(account):
            self.report.unsaid_accounts[account.name] = account
        self.accounts.add(account.account_id)

    def _note(self, one: Exported) -> str | None:
        notes = one.notes or ()
        if len(notes) > 1:
            self.report.unsaid_notes += 1
            return None
        return notes[0]["body"] if notes else None

    def _row(self, one: Exported, note: str | None) -> dict[str, str]:
        trade, (leg,) = one.trade, one.legs
        first, *last = in_time(one)
        mine = (trade["account_id"], trade["external_id"])
        with localcontext(prec=PRECISION):
            fees = sum((fill["fee"] for fill in (first, *last)), Decimal(0))
        values = {
            **{name: trade[name] for name in HEADER if name in trade},
            **{name: leg[name] for name in INSTRUMENT},
            "external_id": None if mine in self.ambiguous else trade["external_id"],
            "account": one.account.name,
            "direction": "long" if first["side"] == "buy" else "short",
            "quantity": first["quantity"],
            "entry_price": first["price"],
            "exit_price": last[0]["price"] if last else None,
            "fees": fees,
            "notes": note,
            **{CONDITION + fact["name"]: value_of(fact) for fact in one.part("conditions")},
        }
        return {name: field(value) for name, value in values.items()}


def unsayable(one: Exported) -> str | None:
    """Why the format has no row for such a trade, None where it may have one."""
    if one.trade["status"] in ("superseded", "void"):
        return CORRECTED
    if len(one.legs) > 1:
        return LEGS
    return FILLS if len(one.part("fills")) > 1 + (one.trade["status"] == "closed") else None


def says(one: Exported, row: dict[str, str], note: str | None, books: Books) -> bool:
    """Whether an import of the row would record this trade."""
    try:
        found = drafted(Row(1, row), books, None).trade
        return found.note == note and same_entry(one, found) and same_result(one, found)
    except (Refused, Invalid):
        return False


def same_entry(one: Exported, found: ImportTrade) -> bool:
    entry, ((leg,), fills) = found.entry, (one.legs, in_time(one))
    imported = entry.legs[0]
    return (
        all(getattr(entry, name) == one.trade[name] for name in SAID)
        and entry.conditions == {fact["name"]: value_of(fact) for fact in one.part("conditions")}
        and all(getattr(imported, name) == leg[name] for name in INSTRUMENT)
        and [(fill.side, fill.kind) for fill in imported.fills]
        == [(fill["side"], fill["kind"]) for fill in fills]
    )


def same_result(one: Exported, found: ImportTrade) -> bool:
    """Everything that is derived from the fills, worked out anew."""
    entry = found.entry
    derived = facts(
        [leg_of(1, entry.legs[0])],
        zone=one.account.zone,
        tolerance=one.account.tolerance,
        stop_loss=entry.stop_loss,
        direction=entry.direction,
        structure=entry.structure,
        exit_reason=entry.exit_reason,
    )
    return all(value == one.trade[name] for name, value in derived.items())


def usual(account: Account) -> bool:
    """Whether an import makes the account as it is here."""
    made = AccountEntry(name=account.name, mode="live")
    return all(
        getattr(account, name) == getattr(made, name) for name in ("currency", "zone", "tolerance")
    )


def in_time(one: Exported) -> list[StoredRow]:
    return sorted(one.part("fills"), key=lambda fill: fill["filled_at"])


def value_of(fact: StoredRow) -> Any:
    return fact["word"] if fact["number"] is None else fact["number"]


def field(value: Any) -> str:
    """What stands in the file. Only texts are guarded: numbers are none of a user's words."""
    if isinstance(value, str):
        return guarded(value)
    if isinstance(value, Decimal):
        return plain(value) or ""
    return "" if value is None else value.isoformat()
