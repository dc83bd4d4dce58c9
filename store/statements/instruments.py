"""What was dealt, by its symbol alone: shares, or an option by its OCC symbol."""

from store.statements.contracts import Contract, contract, underlying
from store.statements.execution import Instrument
from store.statements.refusing import Refused

LONGEST_TICKER = 10
BESIDE_LETTERS = str.maketrans("", "", ".-/ ")


def instrument_of(symbol: str, column: str) -> Instrument:
    """Raises:
    Refused: it is neither a ticker nor an option's symbol.
    """
    option = contract(symbol)
    if option is not None:
        return option_of(option)
    if not symbol.translate(BESIDE_LETTERS).isalnum() or len(symbol) > LONGEST_TICKER:
        raise Refused(column, symbol, "a ticker or an option's OCC symbol is needed")
    return Instrument("equity", symbol.upper())


def option_of(named: Contract) -> Instrument:
    return Instrument(
        "option", underlying(named.root), named.option_type, named.strike, named.expiry
    )
