"""What an importer makes of a file: trades ready to record, and the rows it refused."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, localcontext
from hashlib import sha256
from itertools import count
from pathlib import Path

from store.accounts import AccountEntry
from store.columns import LARGEST, PRICE_DIGITS
from store.derived import facts, leg_of
from store.errors import Invalid
from store.pnl import PRECISION
from store.records import Mode, TradeEntry
from store.statements.refusing import Rejection


@dataclass(frozen=True)
class Options:
    """What the user says about a file; what the file itself says wins. `multiplier` is the
    currency per point of price, `mapping` the name or the file of a mapping of columns."""

    account: str | None = None
    mode: Mode | None = None
    zone: str | None = None
    currency: str | None = None
    ticker: str | None = None
    multiplier: Decimal | None = None
    mapping: str | None = None


@dataclass(frozen=True)
class ImportTrade:
    """A row as a trade. `net_pnl` is what it will be recorded with, None while open;
    `file_net_pnl` is what the file says it earned, None where it does not say; `rounding`
    is what rounding to the digits kept added to it."""

    row: int
    entry: TradeEntry
    note: str | None = None
    file_net_pnl: Decimal | None = None
    net_pnl: Decimal | None = None
    rounding: Decimal = Decimal(0)


@dataclass(frozen=True)
class ImportFile:
    """A file, read whole; nothing of it is recorded yet.

    `accounts` are the books its trades go to, `account` the one for rows that name none
    (None if every row names its own). `currency` is the one the format or the user states,
    None if neither does. `ignored` counts what was skipped on purpose, `assumed` says in
    words what the file leaves open.
    """

    path: Path
    format: str
    account: AccountEntry | None
    accounts: tuple[AccountEntry, ...]
    currency: str | None
    trades: tuple[ImportTrade, ...]
    rejected: tuple[Rejection, ...]
    ignored: Mapping[str, int] = field(default_factory=dict)
    assumed: tuple[str, ...] = ()

    @property
    def file_net_pnl(self) -> Decimal:
        """The sum of the file's P&L; of what its prices and fees come to where it has none."""
        with localcontext(prec=PRECISION):
            return sum((stated(trade) for trade in self.trades), Decimal(0))

    @property
    def rounding(self) -> Decimal:
        """What rounding added to that sum in all."""
        with localcontext(prec=PRECISION):
            return sum((trade.rounding for trade in self.trades), Decimal(0))


def stated(trade: ImportTrade) -> Decimal:
    if trade.file_net_pnl is not None:
        return trade.file_net_pnl
    return Decimal(0) if trade.net_pnl is None else trade.net_pnl - trade.rounding


def net_pnl(entry: TradeEntry, zone: str) -> Decimal | None:
    """What a trade will be recorded with, None while a leg is open.

    Raises:
        Invalid: the legs and fills do not make a trade, or an amount is beyond what is kept.
    """
    legs = [leg_of(number, leg) for number, leg in enumerate(entry.legs, start=1)]
    derived = facts(
        legs,
        zone=zone,
        tolerance=Decimal(0),
        stop_loss=entry.stop_loss,
        direction=entry.direction,
        structure=entry.structure,
        exit_reason=entry.exit_reason,
    )
    for name, value in derived.items():
        if isinstance(value, Decimal) and abs(value).scaleb(PRICE_DIGITS) > LARGEST:
            raise Invalid(f"Its {name} would be {value:.0f}, which is beyond what is kept.")
    net: Decimal | None = derived["net_pnl"]
    return net


@dataclass(frozen=True)
class Draft:
    """A trade without an id: `identity` is what makes its entry the one it is, `content`
    the rest, which orders trades of the same identity."""

    trade: ImportTrade
    identity: tuple[str, ...]
    content: tuple[str, ...]


def identified(drafts: Iterable[Draft], taken: Collection[str] = ()) -> tuple[ImportTrade, ...]:
    """The trades in the file's order, each with an id that a later export gives it again.

    Trades that share an identity are numbered in the order of their content, not of their
    rows, so neither a re-sorted file nor one with more trades renames them. Two identical
    rows are two trades. Ids that are `taken` by named rows are left to them.
    """
    same: dict[tuple[str, ...], list[Draft]] = defaultdict(list)
    for draft in drafts:
        same[draft.identity].append(draft)
    named: list[ImportTrade] = []
    for identity, group in same.items():
        ordered = sorted(group, key=lambda draft: draft.content)
        names = (f"row-{digest(identity)}-{occurrence}" for occurrence in count(1))
        free = (name for name in names if name not in taken)
        for name, draft in zip(free, ordered, strict=False):
            entry = draft.trade.entry.model_copy(update={"external_id": name})
            named.append(with_entry(draft.trade, entry))
    return tuple(sorted(named, key=lambda trade: trade.row))


def digest(parts: Sequence[str]) -> str:
    """A name for `parts`; their lengths keep ('ab', 'c') apart from ('a', 'bc')."""
    text = "".join(f"{len(part)}:{part}" for part in parts)
    return sha256(text.encode()).hexdigest()[:32]


def with_entry(trade: ImportTrade, entry: TradeEntry) -> ImportTrade:
    return ImportTrade(
        trade.row, entry, trade.note, trade.file_net_pnl, trade.net_pnl, trade.rounding
    )


def plain(value: Decimal | None) -> str:
    """A number written in one way: 100, 100.0 and 1E2 are the same."""
    if value is None:
        return ""
    with localcontext(prec=PRECISION):
        return f"{value.normalize() + 0:f}"
