"""The rows of a Flex report, whether it is XML or CSV.

XML: one element a row, its columns are attributes (`tradePrice`, `buySell`). CSV: the same
columns under names of their own (`TradePrice`, `Buy/Sell`), one table a section. A section
begins with a repeated header, or is marked by BOF, BOA, BOS, EOS records, or has HEADER or
DATA and a section code (TRNT, CTRN, POST, CORP) before each row. Asking for a column by both
its names finds it in either.
"""

from collections.abc import Iterator, Sequence
from typing import Literal
from xml.parsers import expat

from store.errors import Invalid
from store.statements.source import Row, Source, places_of

Section = Literal["trade", "order", "cash", "corporate", "position", "transfer"]
ELEMENTS: dict[str, Section] = {
    "Trade": "trade",
    "TradeConfirm": "trade",
    "Order": "order",
    "CashTransaction": "cash",
    "CorporateAction": "corporate",
    "OpenPosition": "position",
    "Transfer": "transfer",
}
# By what only that section's header has, in this order.
HEADERS: tuple[tuple[Section, tuple[str, ...]], ...] = (
    ("trade", ("quantity", "tradeprice")),
    ("trade", ("quantity", "price", "execid")),
    ("corporate", ("actiondescription",)),
    ("transfer", ("transferprice",)),
    ("position", ("quantity", "markprice", "positionvalue")),
    ("cash", ("amount", "type")),
)
MARKS = ("ibcommission", "ibexecid", "iborderid", "execid")
WORDS = ("TradePrice", "ExecID")
ROOT = "<FlexQueryResponse"
MARKERS = ("BOF", "BOA", "BOS", "EOS", "EOA", "EOF", "MSG")


def is_flex(source: Source) -> bool:
    if source.json is not None:
        return False
    if source.head.startswith("<"):
        return ROOT in source.head
    if not any(word in source.text for word in WORDS):
        return False
    for _, fields in source.records:
        names = names_of(fields)
        if section_of(names) == "trade" and ("clientaccountid" in names or names & set(MARKS)):
            return True
    return False


def flex_rows(source: Source) -> Iterator[tuple[Section, Row]]:
    """Each row with the section it is of; sections that say nothing of trades are left out.

    Raises:
        Invalid: it is not XML, or has a DOCTYPE.
    """
    return iter(elements(source)) if source.head.startswith("<") else lines(source)


def elements(source: Source) -> list[tuple[Section, Row]]:
    found: list[tuple[Section, Row]] = []
    parser = expat.ParserCreate()

    def started(name: str, attributes: dict[str, str]) -> None:
        section = ELEMENTS.get(name)
        # OptionEAE, CashReport and others hold elements of the same sort of names; only a row
        # has attributes.
        if section is not None and attributes:
            places = {key.casefold(): place for place, key in enumerate(attributes)}
            row = Row(parser.CurrentLineNumber, list(attributes.values()), places)
            found.append((section, row))

    def refused(*_: object) -> None:
        # Entities, which could read files or grow without end, are declared only in one.
        raise Invalid(f"{source.path.name} has a DOCTYPE; a Flex report has none.")

    parser.StartElementHandler = started
    parser.StartDoctypeDeclHandler = refused
    try:
        parser.Parse(source.text, True)
    except expat.ExpatError as error:
        reason = expat.ErrorString(error.code)
        raise Invalid(f"{source.path.name}, row {error.lineno} is not XML: {reason}.") from None
    return found


def lines(source: Source) -> Iterator[tuple[Section, Row]]:
    section: Section | None = None
    places: dict[str, int] = {}
    for number, fields in source.records:
        first = fields[0].strip() if fields else ""
        if first in MARKERS:
            section = None
        elif is_header(first, names := names_of(fields)):
            section = section_of(names)
            places = places_of(fields)
        elif section is not None and (row := Row(number, fields, places)):
            yield section, row


def is_header(first: str, names: set[str]) -> bool:
    return first == "HEADER" or "clientaccountid" in names or section_of(names) == "trade"


def names_of(fields: Sequence[str]) -> set[str]:
    return {field.strip().casefold() for field in fields}


def section_of(names: set[str]) -> Section | None:
    return next((section for section, marks in HEADERS if names >= set(marks)), None)
