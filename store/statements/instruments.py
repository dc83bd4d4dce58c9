"""What was dealt, by its symbol alone: shares, or an option by its OCC symbol."""

from store.statements.contracts import contract, underlying
from store.statements.execution import Instrument
from store.statements.refusing import Refused


def instrument_of(symbol: str, column: str) -> Instrument:
    """Raises:
    Refused: it is neither a ticker nor an option's symbol.
    """
    option = contract(symbol)
    if option is not None:
        return Instrument(
            "option",
            underlying(option.root),
            option_type=option.option_type,
            strike=option.strike,
            expiry=option.expiry,
        )
    if not symbol.replace(".", "").replace("-", "").replace(" ", "").isalnum() or len(symbol) > 10:
        raise Refused(column, symbol, "a ticker or an option's OCC symbol is needed")
    return Instrument("equity", symbol.upper())
