"""From where on something may be said, and how often luck is tried; one place for all of them."""

from store.stats import WEEKS_MIN

ALPHA = 0.05  # Adjusted chance of luck up to which an edge is supported ...
HINT = 0.20  # ... and up to which there is a hint.
CLOSED_MIN = 50  # Closed trades of a book below which no claim is made.
JUDGED_MAX = 100_000  # Judging more takes longer than a question may.
SIDE_MIN = 5  # Wins, and losses.
# Trades of a few days could all share one mood of the market, and nothing would show it.
TOO_FEW_WEEKS = f"trades of fewer than {WEEKS_MIN} weeks"
PERMUTATIONS = 1999
PERMUTATIONS_FEWER, FEWER_FROM = 999, 1000
HOLM_FROM = 20_000  # Trades above which permuting takes seconds and gains little.
