"""The columns of an export and their kinds, as the tables have them."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from store.columns import MONEY_DIGITS, Count, Scaled, Words
from store.models import Base, Correction, Fill, Leg, Note, Snapshot, Trade
from store.queries.answer import money, plain


@dataclass(frozen=True)
class Column:
    name: str
    kind: Any

    def text(self, value: Any) -> Any:
        """An exact value as text: decimals plain, moments and days as ISO 8601 writes them."""
        if isinstance(value, Decimal):
            cents = isinstance(self.kind, Scaled) and self.kind.digits == MONEY_DIGITS
            return money(value) if cents else plain(value)
        return value.isoformat() if isinstance(value, (datetime, date)) else value


def columns_of(model: type[Base], *without: str) -> tuple[Column, ...]:
    hidden = {"user_id", "account_id", "trade_number", *without}
    columns = model.__table__.columns
    return tuple(Column(one.name, one.type) for one in columns if one.name not in hidden)


ACCOUNT = Column("account", Words)
CONDITIONS = Column("conditions", dict)
TRADE_COLUMNS = (ACCOUNT, *columns_of(Trade), CONDITIONS)
LEG_COLUMNS = columns_of(Leg)
OWN_FILL_COLUMNS = columns_of(Fill, "leg_number")
SNAPSHOT_COLUMNS = columns_of(Snapshot)
NOTE_COLUMNS = columns_of(Note)
CORRECTION_COLUMNS = columns_of(Correction)
NUMBER = Column("trade", Count)
OF_TRADE = ("mode", "currency", "status", "ticker", "strategy")
FILL_COLUMNS = (
    NUMBER,
    ACCOUNT,
    *(column for column in columns_of(Trade) if column.name in OF_TRADE),
    *LEG_COLUMNS,
    *OWN_FILL_COLUMNS,
)
