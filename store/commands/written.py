"""What a command answers: what is recorded now, or would be."""

from typing import Any

from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from store.audit import Recorded
from store.database import is_rehearsed
from store.queries.answer import MoneyOrNone, Optional, Part, Told
from store.queries.get_trade import FillFound, LegFound, OneTrade, TradeFound, get_trade

SAME = ("number", "status", "unrealised_pnl")  # Of a trade and its restatement they say nothing.


class Change(Part):
    field: str
    was: str | None
    now: str | None


class Written(Told):
    number: int
    status: str
    currency: str
    net_pnl: MoneyOrNone = Field(description="Null while it is open")
    outcome: Optional[str]
    corrects: Optional[int] = Field(description="The trade that no longer counts")
    next_number: Optional[int] = Field(description="The trade that the rest of the fill opened")
    replayed: bool = Field(description="The key had been used: nothing was written now")
    dry_run: bool = Field(description="Nothing was written at all")
    changes: Optional[list[Change]]
    trade: Optional[TradeFound] = Field(description="In a dry run: as it would be recorded")
    legs: Optional[list[LegFound]]
    fills: Optional[list[FillFound]]
    conditions: Optional[dict[str, str]]


async def whole(session: AsyncSession, number: int) -> OneTrade:
    """The trade as this transaction sees it, its own writing included."""
    session.expire_all()
    return await get_trade(session, number=number)


async def written(
    session: AsyncSession,
    recorded: Recorded,
    done: str,
    *,
    corrected: OneTrade | None = None,
) -> Written:
    """The answer of a command that did what `done` says in words, such as "note added to"."""
    found = await whole(session, recorded.number)
    trade, rehearsed = found.trade, is_rehearsed(session)
    shown = rehearsed and not recorded.replayed
    return Written(
        summary=_summary(recorded, done, trade, rehearsed),
        number=recorded.number,
        status=trade.status,
        currency=trade.currency,
        net_pnl=trade.net_pnl,
        outcome=trade.outcome,
        corrects=corrected.trade.number if corrected else None,
        next_number=recorded.next_number,
        replayed=recorded.replayed,
        dry_run=rehearsed,
        changes=changes(corrected, found) if corrected else None,
        trade=trade if shown else None,
        legs=found.legs if shown else None,
        fills=found.fills if shown else None,
        conditions=found.conditions if shown else None,
    )


def _summary(recorded: Recorded, done: str, trade: TradeFound, rehearsed: bool) -> str:
    """Nothing in it is a name: those are the words of users and files."""
    number = recorded.number
    earned = "" if trade.net_pnl is None else f", net {trade.net_pnl} {trade.currency}"
    outcome = "" if trade.outcome is None else f", {trade.outcome}"
    verb = "would be" if rehearsed and not recorded.replayed else "is"
    state = f"trade {number} {verb} {trade.status} ({trade.mode}){earned}{outcome}"
    if recorded.replayed:
        return f"This was done before under the same key, nothing was written now: {state}."
    rest = f"; the rest of the fill opened trade {recorded.next_number}"
    more = rest if recorded.next_number is not None else ""
    dry = "Dry run, nothing was written. " if rehearsed else ""
    return f"{dry}{done}: {state}{more}."


def changes(before: OneTrade, after: OneTrade) -> list[Change]:
    """Every field in which the two differ."""
    was, now = _said(before), _said(after)
    names = dict.fromkeys([*was, *now])
    return [
        Change(field=name, was=was.get(name), now=now.get(name))
        for name in names
        if was.get(name) != now.get(name)
    ]


def _said(found: OneTrade) -> dict[str, str]:
    fields = {
        **found.trade.model_dump(mode="json", exclude=set(SAME)),
        **{f"condition.{name}": value for name, value in found.conditions.items()},
        **{f"leg {leg.leg_number}": _line(leg) for leg in found.legs},
        **{f"fill {place}": _line(fill) for place, fill in enumerate(found.fills, start=1)},
    }
    return {name: str(value) for name, value in fields.items() if value is not None}


def _line(part: LegFound | FillFound) -> str:
    values: dict[str, Any] = part.model_dump(mode="json")
    return " ".join(f"{name} {value}" for name, value in values.items() if value is not None)
