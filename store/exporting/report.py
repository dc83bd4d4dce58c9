"""What an export wrote, and what it could not say."""

from collections import Counter
from dataclasses import dataclass, field

from store.models import Account


@dataclass
class Report:
    """`written` counts rows, `left_out` the trades that CSV cannot say, by reason, and
    `unsaid_notes` those in it that have more notes than there is room for (one). An import of
    the CSV would not know currency, zone or tolerance of the `unsaid_accounts`.
    """

    written: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    unsaid_notes: int = 0
    unsaid_accounts: dict[str, Account] = field(default_factory=dict)
