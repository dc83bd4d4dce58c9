"""What a broker's file says happened: executions, other cash, and rows that are refused."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Literal

from store.accounts import AccountEntry
from store.derived import STANDARD_MULTIPLIER
from store.records import FillKind, Mode, OptionType, Side
from store.records import Instrument as InstrumentKind
from store.statements.refusing import Rejection

Effect = Literal["open", "close"]


@dataclass(frozen=True, slots=True)
class Instrument:
    """What was dealt. `ticker` is the underlying; `multiplier` is currency per point of price,
    None for the standard one (100 for an option, 1 for shares and coins; a future says its
    own). `symbol` is the broker's own name, of futures and coins only."""

    kind: InstrumentKind
    ticker: str
    option_type: OptionType | None = None
    strike: Decimal | None = None
    expiry: date | None = None
    multiplier: Decimal | None = None
    symbol: str | None = None

    @property
    def unit(self) -> Decimal:
        """Currency per point of price; 1 where nobody knows."""
        return self.multiplier or STANDARD_MULTIPLIER.get(self.kind, Decimal(1))


@dataclass(frozen=True, slots=True)
class Execution:
    """One row of a broker's file that changed a position.

    - `quantity` is positive. `side` may be None where an option ends (`kind` other than
      trade) and the file does not say: it then closes whatever is open.
    - `price` is per share or point, `fee` positive when it cost. An option that expired or
      was assigned or exercised ends at price 0, one settled in cash (`settled`) at its
      intrinsic value; the shares of an assignment are an execution of their own, at the
      strike, with `delivery` set.
    - `at` is UTC. Where the file has days only, `dated` is set and `at` is noon of the day in
      the market's zone, or 16:00 for what ends an option: it never comes before the day's
      deals.
    - `id` is the broker's own id of the execution, the same in every export. None where the
      file has none: what the row says then identifies it, and equal rows of one file count.
    - `order` is the broker's order, which holds the legs of a spread together.
    - `partial` says that the row is an order so far (filled quantity, average price), so that
      a later export may show more of it under the same `id`.
    - `effect` is what the file says of it: that it opens or closes a position.
    - `cash` is what the file says it moved, fees included (negative when paid); None where
      the file does not say.
    """

    row: int
    instrument: Instrument
    side: Side | None
    quantity: Decimal
    price: Decimal
    at: datetime
    fee: Decimal = Decimal(0)
    kind: FillKind = "trade"
    effect: Effect | None = None
    id: str | None = None
    order: str | None = None
    account: str | None = None
    cash: Decimal | None = None
    dated: bool = False
    delivery: bool = False
    partial: bool = False


@dataclass(frozen=True, slots=True)
class CashRow:
    """Money that moved without a deal: reported and counted, never traded.

    `kind` is one plain word: dividend, interest, tax, fee, deposit, withdrawal, transfer,
    other. `amount` is positive when received.
    """

    row: int
    kind: str
    amount: Decimal


@dataclass(frozen=True)
class Statement:
    """A broker's file, read whole; nothing of it is recorded yet.

    `executions` are in the order in which they happened, as far as the file says: by moment,
    then by the order of its rows (reversed where the file is newest first). `broker` names
    the account where nobody else does; `account` inside of executions is the broker's number
    of it, where the file has one. `currency` is the one the file or its format states, `zone`
    the market's, by whose clock days are cut. `ignored` counts by a plain word what was
    skipped on purpose (cancelled orders, transfers of shares), `assumed` says in words what
    the file leaves open. `accounts` are where executions go, by the broker's number of the
    account; reading fills them in, not the format.
    """

    path: Path
    format: str
    broker: str
    executions: tuple[Execution, ...]
    cash: tuple[CashRow, ...] = ()
    rejected: tuple[Rejection, ...] = ()
    currency: str | None = None
    zone: str = "America/New_York"
    mode: Mode | None = None
    accounts: Mapping[str | None, AccountEntry] = field(default_factory=dict)
    ignored: Mapping[str, int] = field(default_factory=dict)
    assumed: tuple[str, ...] = ()
