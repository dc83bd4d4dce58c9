"""Files of brokers and journals, one module per format, recognised by their columns.

Reading is pure: it opens no database. To add a format, add a module with a `FORMAT`;
nothing here changes.
"""

from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

from store.errors import Invalid
from store.importers.format import Format
from store.importers.imported import ImportFile, ImportTrade, Options, Rejection
from store.importers.table import Table, columns_shown, load
from store.records import Mode

__all__ = ["Format", "ImportFile", "ImportTrade", "Options", "Rejection", "formats", "read"]


@cache
def formats() -> dict[str, Format]:
    """The known formats by name."""
    modules = (import_module(f"{__name__}.{module.name}") for module in iter_modules(__path__))
    found = (getattr(module, "FORMAT", None) for module in modules)
    return {one.name: one for one in found if isinstance(one, Format)}


def read(
    path: Path | str,
    *,
    format: str | None = None,
    account: str | None = None,
    mode: Mode | None = None,
    zone: str | None = None,
    currency: str | None = None,
    ticker: str | None = None,
) -> ImportFile:
    """The trades of a file, and the rows that cannot be trades with the reason.

    `format` is found by the header unless named. The other options say what the file does
    not; its own values win.

    Raises:
        Invalid: the file as a whole cannot be read, or what it calls P&L is not what its
            format says it is.
    """
    table = load(Path(path))
    options = Options(account=account, mode=mode, zone=zone, currency=currency, ticker=ticker)
    return chosen(table, format).parse(table, options)


def chosen(table: Table, name: str | None) -> Format:
    known = formats()
    if name is not None:
        if name not in known:
            raise Invalid(f"No format '{name}'. Known formats: {', '.join(known)}.")
        return known[name]
    fitting = [one for one in known.values() if one.fits(table.header)]
    if len(fitting) == 1:
        return fitting[0]
    said = "fits several formats" if fitting else "is in no known format"
    needed = "; ".join(f"{one.name} has {', '.join(one.marks)}" for one in known.values())
    raise Invalid(
        f"{table.path.name} {said}. Its columns, separated by commas:"
        f" {columns_shown(table.header)}. Known formats: {needed}."
    )
