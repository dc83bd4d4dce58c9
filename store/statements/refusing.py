"""Rows that cannot be recorded, and why."""

from dataclasses import dataclass

SHOWN = 80  # Letters of a refused value that are shown.
# Of splits, mergers and transfers, which say nothing of what shares cost or brought.
NO_DEAL = "shares moved without a deal; record what they cost or brought by hand"
# Of events that nobody has seen, or whose positions are not said.
MAY_CHANGE = "it may change a position; record the trades it touches by hand"


@dataclass(frozen=True)
class Rejection:
    """A row that cannot be recorded. `row` counts the file's lines, the header being row 1;
    `value` is made printable and cut to 80 letters."""

    file: str
    row: int
    column: str
    value: str
    reason: str

    def __str__(self) -> str:
        return f"{self.file}, row {self.row}, {self.column} '{self.value}': {self.reason}"


class Refused(Exception):  # noqa: N818
    """The row cannot be recorded."""

    def __init__(self, column: str, value: str, reason: str) -> None:
        super().__init__(reason)
        self.column, self.value, self.reason = column, value, reason

    def rejection(self, file: str, row: int) -> Rejection:
        return Rejection(file, row, self.column, printable(self.value), self.reason)


def printable(text: str) -> str:
    """Text that can do nothing to a terminal, cut to 80 letters."""
    cut = text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in cut)
