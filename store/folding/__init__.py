"""What all users' closed trades add up to, for the operator of a store.

A trade that closes, or counts no longer, leaves a row in `unfolded` in its own transaction.
Folding adds these to the sums in `fold` and removes them. An answer is always both together,
read in one statement, so it is exact whatever has been folded, and folding is never urgent:
only what is not folded yet has to be looked up trade by trade.
"""

from store.folding.adding import DIMENSIONS, Dimension
from store.folding.fold import fold_all
from store.folding.proving import rebuild_fold, wrong_fold
from store.folding.report import Report, report

__all__ = [
    "DIMENSIONS", "Dimension", "Report", "fold_all", "rebuild_fold", "report", "wrong_fold",
]  # fmt: skip
