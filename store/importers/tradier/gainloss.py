"""Tradier's closed positions: the JSON of `GET /v1/accounts/{account}/gainloss`.

`{"gainloss": {"closed_position": [...]}}`: `symbol` (OCC for options), `quantity` (negative
for a short), `open_date` and `close_date` (days), `cost`, `proceeds`, `gain_loss`, `term`. One
position comes as an object in the place of the list, none as the text "null". For a short,
the proceeds came first: they are the entry.

Each is a trade of its own, for the history (which `tradier` reads) names neither the expired
options nor which deals belong together. Cost and proceeds include the fees, so the prices do
too and no fee is recorded; P&L is `gain_loss`, which must be proceeds less cost to the cent.
Days have no times: entries stand at noon, exits at 16:00 New York. Import either the history
or the closed positions of an account, not both: they are the same trades.

The file does not say whether the account is live or the sandbox, so `--mode` does. Sources:
Tradier's documented response and responses quoted in public clients.
"""

from datetime import date
from decimal import Decimal, localcontext

from store.columns import PRICE_DIGITS, rounded
from store.errors import Invalid
from store.importers.closed import Closed, drafted, filed
from store.importers.format import Format, account_of
from store.importers.imported import Draft, ImportFile, Options
from store.importers.tradier import DAYS
from store.pnl import PRECISION
from store.records import FillKind
from store.statements.amounts import MARKET, day, needed, of_day
from store.statements.balancing import require_balance
from store.statements.execution import Instrument
from store.statements.instruments import shares_or_option
from store.statements.jsonrows import Record, listed, numbered
from store.statements.reading import Reading
from store.statements.refusing import Refused
from store.statements.source import Source

NAME = "tradier_gainloss"


def fits(source: Source) -> bool:
    return (
        isinstance(source.json, dict)
        and listed(source.json, "gainloss", "closed_position") is not None
    )


def parse(source: Source, options: Options) -> ImportFile:
    """Raises:
    Invalid: nothing says whether the trades are paper or live.
    """
    if options.mode is None:
        raise Invalid(
            f"{source.path.name} does not say whether its trades are paper or live:"
            " add --mode paper or --mode live."
        )
    account = account_of(
        name=options.account or "Tradier",
        mode=options.mode,
        broker="Tradier",
        currency=options.currency or "USD",
        zone=options.zone,
    )
    found = Reading(source)
    drafts: list[Draft] = []
    for position in numbered(listed(source.json, "gainloss", "closed_position") or []):
        with found.row(position.number):
            drafts.append(drafted(closed(position), account, NAME))
    return filed(
        found, drafts, account, NAME,
        "fees are inside of prices", "no times: entries at noon, exits at 16:00 New York",
    )  # fmt: skip


def closed(position: Record) -> Closed:
    instrument = shares_or_option(position.text("symbol"), "symbol")
    signed, cost, proceeds, gain = (
        needed(position.text(name), name) for name in ("quantity", "cost", "proceeds", "gain_loss")
    )
    if signed == 0 or cost < 0 or proceeds < 0:
        raise Refused("quantity", position.text("quantity"), "a position of some size is needed")
    with localcontext(prec=PRECISION):
        require_balance("gain_loss", position.text("gain_loss"), gain, proceeds - cost)
        size = abs(signed) * instrument.unit
        paid, received = (rounded(money / size, PRICE_DIGITS) for money in (cost, proceeds))
    opened, ended = (
        day(position.text(name), name, *reversed(DAYS)) for name in ("open_date", "close_date")
    )
    if ended < opened:
        raise Refused("close_date", position.text("close_date"), "it is before open_date")
    exit_price = received if signed > 0 else paid
    kind = ended_by(instrument, exit_price, ended)
    return Closed(
        row=position.number,
        instrument=instrument,
        sign=1 if signed > 0 else -1,
        quantity=abs(signed),
        entry_price=paid if signed > 0 else received,
        exit_price=exit_price,
        opened_at=of_day(opened, MARKET),
        closed_at=of_day(ended, MARKET, ending=True),
        fees=Decimal(0),
        net=proceeds - cost,
        kind=kind,
        reason="expired" if kind == "expired" else None,
    )


def ended_by(instrument: Instrument, exit_price: Decimal, ended: date) -> FillKind:
    """Expired where it ended at nothing on its last day or after."""
    last = instrument.expiry
    return "expired" if last is not None and exit_price == 0 and ended >= last else "trade"


FORMAT = Format(NAME, "JSON with gainloss.closed_position", fits, parse)
