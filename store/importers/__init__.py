"""Files of brokers and journals, one module per format, recognised by their content.

Reading is pure: it opens no database. To add a format, add a module with a `FORMAT`, in a
package of the broker's where it needs several; nothing here changes.
"""

from dataclasses import replace
from decimal import Decimal
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

from store.errors import Invalid
from store.importers import mapped
from store.importers.format import Format, account_of
from store.importers.imported import ImportFile, ImportTrade, Options
from store.importers.table import columns_shown
from store.records import Mode
from store.statements.execution import Statement
from store.statements.refusing import Refused, Rejection, printable
from store.statements.source import Source, cut

__all__ = [
    "Format", "ImportFile", "ImportTrade", "Options", "Rejection", "Statement", "formats", "read",
]  # fmt: skip


@cache
def formats() -> dict[str, Format]:
    """The known formats by name."""
    modules = (import_module(one.name) for one in walk_packages(__path__, f"{__name__}."))
    found = (getattr(module, "FORMAT", None) for module in modules)
    by_name = {one.name: one for one in found if isinstance(one, Format)}
    return dict(sorted(by_name.items()))


def read(
    path: Path | str,
    *,
    format: str | None = None,
    account: str | None = None,
    mode: Mode | None = None,
    zone: str | None = None,
    currency: str | None = None,
    ticker: str | None = None,
    multiplier: Decimal | None = None,
    mapping: str | None = None,
) -> ImportFile | Statement:
    """The trades or executions of a file, and the rows that are refused with the reason.

    `format` is found by the content unless named; `mapping` reads any table by a mapping of
    its columns. The other options say what the file does not; its own values win.

    Raises:
        Invalid: the file as a whole cannot be read, or what it calls P&L is not what its
            format says it is.
    """
    source = Source(Path(path))
    options = Options(account, mode, zone, currency, ticker, multiplier, mapping)
    parse = mapped.parse if mapping is not None else chosen(source, format).parse
    found = parse(source, options)
    return booked(found, options) if isinstance(found, Statement) else found


def booked(statement: Statement, options: Options) -> Statement:
    """`statement` with the accounts to which its executions go.

    The user's name for the account stands where the file has one account only; several have
    the broker's name and number each. Rows of one that can be no name are refused.
    """
    if options.account is None:
        statement = with_sound_numbers(statement)
    numbers = {one.account for one in statement.executions} or {None}
    if options.account is not None and len(numbers) > 1:
        listed = ", ".join(printable(str(number)) for number in sorted(map(str, numbers)))
        raise Invalid(
            f"{statement.path.name} has several accounts ({listed}), which go to one each;"
            " leave --account out."
        )

    def name(number: str | None) -> str:
        known = f"{statement.broker} {number}" if number else statement.broker
        return options.account or known

    entries = {
        number: account_of(
            name=name(number),
            mode=statement.mode or options.mode or "live",
            broker=statement.broker,
            currency=statement.currency or options.currency,
            zone=statement.zone,
        )
        for number in numbers
    }
    return replace(
        statement,
        accounts=entries,
        mode=statement.mode or options.mode,
        currency=statement.currency or options.currency,
    )


def with_sound_numbers(statement: Statement) -> Statement:
    """`statement` without the executions whose account cannot be named, which it rejects."""
    refused = {}
    for number in {one.account for one in statement.executions}:
        try:
            account_of(name=f"{statement.broker} {number}", mode="live")
        except Invalid:
            refused[number] = Refused("account", number or "", "it can be no account's name")
    rejected = [
        refused[one.account].rejection(statement.path.name, one.row)
        for one in statement.executions
        if one.account in refused
    ]
    return replace(
        statement,
        executions=tuple(one for one in statement.executions if one.account not in refused),
        rejected=tuple(sorted([*statement.rejected, *rejected], key=lambda one: one.row)),
    )


def chosen(source: Source, name: str | None) -> Format:
    known = formats()
    if name is not None:
        if name not in known:
            raise Invalid(f"No format '{name}'. Known formats: {', '.join(known)}.")
        return known[name]
    found = fitting(source)
    if len(found) == 1:
        return found[0]
    if found:
        names = " or ".join(one.name for one in found)
        raise Invalid(f"{source.path.name} fits several formats; say --format {names}.")
    raise Invalid(
        f"{source.path.name} is in no known format. {found_in(source)} Known formats:"
        f" {', '.join(known)}; any other table can be read with a mapping (--map)."
    )


def fitting(source: Source) -> list[Format]:
    """The formats that the content of a file fits; one that cannot even be cut into what a
    format looks for does not fit it."""

    def fits(one: Format) -> bool:
        try:
            return one.fits(source)
        except Invalid:
            return False

    return [one for one in formats().values() if fits(one)]


def found_in(source: Source) -> str:
    """What a file that nobody knows begins with."""
    if source.json is not None:
        return "It is JSON."
    if source.head.startswith("<"):
        return "It is XML or HTML."
    header = next(cut(source.path, source.text, strict=True), (0, []))[1]
    return f"Its columns, separated by commas: {columns_shown(tuple(header))}."
