"""A mapping: which columns of a broker's table are which fields of an execution.

A file in TOML (or JSON with the same names):

    broker = "ProjectX"                # names the account where nobody else does
    rows = "executions"                # or "trades": entry and exit in one row
    zone = "America/Chicago"           # of moments without an offset; --zone wins
    currency = "USD"
    decimal = "."                      # or ","
    moments = ["%m/%d/%Y %H:%M:%S %z"] # as strptime writes them
    days = ["%m/%d/%Y"]                # where a row has a day and no time
    instrument = "future"              # equity, option, future, crypto; options by themselves
    prefixes = ["CM."]                 # left out of symbols
    fees = "cost"                      # a fee is positive when it costs; or "amount": negative
    profit = "net"                     # of trades: the column is net of fees; or "gross"
    partial = true                     # a row is an order that may be filled further

    [columns]                          # a name, or several of which the first present is read
    symbol = "ContractName"
    at = ["FilledAt", "last_time"]

    [words]                            # what the fields say, whatever their case
    side = { Bid = "buy", Ask = "sell" }
    filled = ["Filled"]                # states that count; without it every row does
    ignored = ["Rejected"]             # states, or sides, that are counted and left out

    [multipliers]                      # currency per point, by a future's root or a symbol
    MES = "5"
"""

import json
import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from store.errors import Invalid
from store.records import FillKind, Instrument, Name, Positive, Side
from store.statements.execution import Effect
from store.statements.refusing import printable

SHIPPED = Path(__file__).parent / "mappings"
LARGEST = 100_000  # Bytes.
SUFFIXES = (".toml", ".json")
NAME = "abcdefghijklmnopqrstuvwxyz0123456789_-"


def _several(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


def _folded(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(name).casefold(): said for name, said in value.items()}
    return value


def _exact(value: Any) -> Any:
    """JSON and TOML write whole numbers as integers; other numbers are given as text."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Columns = Annotated[tuple[str, ...], BeforeValidator(_several)]
Words = Annotated[tuple[str, ...], BeforeValidator(_several)]
Formats = Annotated[tuple[str, ...], BeforeValidator(_several)]


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class MappedColumns(Part):
    """The fields of an execution, then those that only a row with entry and exit has."""

    symbol: Columns
    quantity: Columns
    side: Columns = ()
    price: Columns = ()
    at: Columns = ()
    time: Columns = ()
    effect: Columns = ()
    status: Columns = ()
    id: Columns = ()
    order: Columns = ()
    account: Columns = ()
    fees: Columns = ()
    amount: Columns = ()
    description: Columns = ()
    option_type: Columns = ()
    strike: Columns = ()
    expiry: Columns = ()
    multiplier: Columns = ()
    entry_price: Columns = ()
    exit_price: Columns = ()
    entry_at: Columns = ()
    exit_at: Columns = ()
    profit: Columns = ()


class MappedWords(Part):
    """`side` also holds long and short of rows with entry and exit: buy and sell."""

    side: Annotated[dict[str, Side], BeforeValidator(_folded)] = Field(default_factory=dict)
    effect: Annotated[dict[str, Effect], BeforeValidator(_folded)] = Field(default_factory=dict)
    ends: Annotated[dict[str, FillKind], BeforeValidator(_folded)] = Field(default_factory=dict)
    cash: Annotated[dict[str, str], BeforeValidator(_folded)] = Field(default_factory=dict)
    filled: Words = ()
    ignored: Words = ()


class ColumnMapping(Part):
    broker: Name
    columns: MappedColumns
    words: MappedWords = MappedWords()
    rows: Literal["executions", "trades"] = "executions"
    zone: str | None = None
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3,10}$")] | None = None
    decimal: Literal[".", ","] = "."
    moments: Formats = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S%z")
    days: Formats = ()
    instrument: Instrument = "equity"
    prefixes: Words = ()
    fees: Literal["cost", "amount"] = "cost"
    profit: Literal["net", "gross"] = "net"
    partial: bool = False
    multipliers: dict[str, Annotated[Positive, BeforeValidator(_exact)]] = Field(
        default_factory=dict
    )

    def needed(self) -> tuple[str, ...]:
        if self.rows == "trades":
            both = ("entry_price", "exit_price", "entry_at", "exit_at")
            return ("symbol", "side", "quantity", *both)
        return ("symbol", "quantity", "price", "at")


def found(name: str, folder: Path) -> ColumnMapping:
    """The mapping in the file `name`, else one saved under that name in `folder`, else one
    that is shipped.

    Raises:
        Invalid: there is none, or it is no mapping.
    """
    path = Path(name)
    if path.suffix.lower() in SUFFIXES:
        return load(path)
    for place in (folder, SHIPPED):
        for suffix in SUFFIXES:
            if _plain(name) and (place / f"{name}{suffix}").is_file():
                return load(place / f"{name}{suffix}")
    raise Invalid(
        f"No mapping '{printable(name)}'. Known: {', '.join(known(folder))}; or name a file that"
        " ends in .toml or .json."
    )


def known(folder: Path) -> list[str]:
    """The names of the mappings saved and shipped."""
    places = [place for place in (folder, SHIPPED) if place.is_dir()]
    files = (file for place in places for file in place.iterdir())
    return sorted({file.stem for file in files if file.suffix in SUFFIXES})


def save(path: Path, name: str, folder: Path) -> Path:
    """Keep the mapping in the file `path` under `name`, in the place of one saved before.

    Raises:
        Invalid: it is no mapping, or the name is not of letters, digits, - and _.
    """
    if not _plain(name):
        raise Invalid(f"'{printable(name)}' is no name; a to z, 0 to 9, - and _ are accepted.")
    load(path)
    folder.mkdir(parents=True, exist_ok=True)
    for suffix in SUFFIXES:
        (folder / f"{name}{suffix}").unlink(missing_ok=True)
    kept = folder / f"{name}{path.suffix.lower()}"
    kept.write_bytes(path.read_bytes())
    return kept


def name_of(name: str) -> str:
    """What trades read by the mapping `name`, or by the file of that name, have as their source.

    Raises:
        Invalid: the file's name is not of letters, digits, - and _.
    """
    path = Path(name)
    plain = (path.stem if path.suffix.lower() in SUFFIXES else name).lower()
    if not _plain(plain):
        raise Invalid(f"'{printable(plain)}' is no name; a to z, 0 to 9, - and _ are accepted.")
    return plain


def _plain(name: str) -> bool:
    return 0 < len(name) <= 60 and set(name) <= set(NAME)


def load(path: Path) -> ColumnMapping:
    """Raises:
    Invalid: the file cannot be read, or is no mapping.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
        text = content.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError):
        raise Invalid(f"The mapping {path.name} cannot be read.") from None
    if len(content) > LARGEST:
        raise Invalid(f"The mapping {path.name} is larger than {LARGEST:,} bytes.")
    json_ = path.suffix.lower() == ".json"
    try:
        said = (json if json_ else tomllib).loads(text, parse_float=Decimal)
        mapping = ColumnMapping.model_validate(said)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = printable(".".join(str(part) for part in first["loc"]))
        reason = first["msg"].removeprefix("Value error, ")
        raise Invalid(f"The mapping {path.name}, {place}: {reason}.") from None
    except (ValueError, RecursionError) as error:
        kind, reason = "JSON" if json_ else "TOML", printable(str(error))
        raise Invalid(f"The mapping {path.name} is not {kind}: {reason}.") from None
    lacking = [one for one in mapping.needed() if not getattr(mapping.columns, one)]
    if lacking:
        raise Invalid(f"The mapping {path.name} names no columns for {', '.join(lacking)}.")
    return mapping
