"""A recorded trade, said again: what a correction starts from."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from store.database import user_of
from store.derived import Leg, facts
from store.errors import Invalid
from store.models import Account, Condition, Trade
from store.recording import legs_of
from store.records import LegEntry, TradeEntry

DERIVED = ("structure", "direction", "exit_reason")
SAID = (
    "ticker", "strategy", "stop_loss", "take_profit", "scanner_score", "ai_score", "delta",
    "gamma", "theta", "vega", "iv", "source", "external_id", "broker_order_id",
    "stop_order_id", "target_order_id",
)  # fmt: skip


async def stored_entry(session: AsyncSession, trade: Trade) -> TradeEntry:
    """The entry that would record `trade` again. What had been worked out from its legs is
    left unsaid, so that it follows what is changed in them.

    Raises:
        Invalid: it holds delivered shares, which no entry can say.
    """
    legs = await legs_of(session, trade.number)
    if any(leg.delivered for leg in legs):
        raise Invalid(
            f"Shares were delivered in trade {trade.number}, which a restatement cannot say;"
            " void it, record it anew and close it by delivery."
        )
    account = await session.get_one(Account, (trade.user_id, trade.account_id))
    derived = facts(
        legs,
        zone=account.zone,
        tolerance=account.tolerance,
        stop_loss=trade.stop_loss,
        **dict.fromkeys(DERIVED),
    )
    return TradeEntry.model_validate(
        {
            "account": account.name,
            "legs": tuple(map(_leg_entry, legs)),
            "conditions": await _conditions(session, trade.number),
            **{name: getattr(trade, name) for name in SAID},
            **{
                name: getattr(trade, name)
                for name in DERIVED
                if getattr(trade, name) != derived[name]
            },
        }
    )


def _leg_entry(leg: Leg) -> LegEntry:
    return LegEntry(
        instrument=leg.instrument,  # type: ignore[arg-type]
        fills=leg.fills,
        option_type=leg.option_type,
        strike=leg.strike,
        expiry=leg.expiry,
        multiplier=leg.multiplier,
        symbol=leg.symbol,
    )


async def _conditions(session: AsyncSession, number: int) -> dict[str, object]:
    rows = await session.scalars(
        select(Condition)
        .where(Condition.user_id == user_of(session), Condition.trade_number == number)
        .order_by(Condition.name)
    )
    return {row.name: row.number if row.word is None else row.word for row in rows}
