"""What money that moved without a deal is called."""

from decimal import Decimal

# The first word that a description holds says what it is, so that a tax on a dividend is tax.
WORDS = {
    "withh": "tax",
    " tax": "tax",
    "dividend": "dividend",
    " div ": "dividend",
    "in lieu": "dividend",
    "cap gain": "dividend",
    "distribution": "dividend",
    "interest": "interest",
    " fee": "fee",
    "commission": "fee",
    "electronic funds": "deposit",
    "moneylink": "transfer",
    "transfer": "transfer",
    "journal": "transfer",
    "deposit": "deposit",
    "received": "deposit",
    "withdrawal": "withdrawal",
    " ach": "deposit",
    "wire": "deposit",
    "funds": "deposit",
    "paid": "withdrawal",
}


def cash_kind(description: str, amount: Decimal) -> str:
    """The plain word for a movement of money; money that left is never a deposit."""
    text = f" {description.casefold()} "
    kind = next((kind for word, kind in WORDS.items() if word in text), "other")
    return "withdrawal" if kind == "deposit" and amount < 0 else kind
