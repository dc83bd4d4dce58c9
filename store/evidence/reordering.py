"""Did the losses come in a bunch, beyond luck?"""

from collections.abc import Sequence

import numpy as np

from store.evidence.dependence import Floats
from store.evidence.luck import permuted, seed_of

REORDERINGS = 1000
REORDERED_MIN, REORDERED_MAX = 20, 20_000
TIE = 1e-9  # Difference that is only rounding.


def drawdown_percentile(net_pnls: Sequence[float], times: int = REORDERINGS) -> float | None:
    """Chance that a random order of the same trades has a maximum drawdown as deep or deeper.

    `net_pnls` of closed trades in order of exit, in any unit, currency or millionths of it;
    the drawdown is that of their running sum, the peak starting at 0. A small chance says
    that losses came more in a bunch than luck deals them; a large one that they were well
    spread. A statement about order alone: not how deep the next drawdown will be.

    None below 20 trades and without a losing trade, for then order says nothing; also above
    20,000 trades, which would take seconds to reorder. Compared to 1e-9 of the drawdown; the
    same trades give the same answer.
    """
    values = np.asarray(net_pnls, float)
    if not REORDERED_MIN <= len(values) <= REORDERED_MAX or not (values < 0).any():
        return None
    deepest = float(_drawdowns(values[None, :])[0])
    reordered = permuted(values, times, seed_of(values))()
    as_deep = sum(int((_drawdowns(rows) <= deepest * (1 - TIE)).sum()) for rows in reordered)
    return (1 + as_deep) / (times + 1)


def _drawdowns(rows: Floats) -> Floats:
    """Deepest fall of each row's running sum below its earlier peak or 0; at most 0."""
    totals = rows.cumsum(axis=1)
    falls = np.maximum.accumulate(totals, axis=1)
    np.maximum(falls, 0, out=falls)
    np.subtract(totals, falls, out=falls)
    deepest: Floats = falls.min(axis=1)
    return deepest
