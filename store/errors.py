"""What the store refuses, in words a person or an agent can act on.

Every message names what was refused, its value and what would be accepted. It never
carries a secret or stored text. Each edge (tool, command line, HTTP) translates the kinds
in one place; any other exception is a bug.
"""

from typing import Literal, TypeAlias

Again: TypeAlias = Literal["no", "yes", "keyed"]


class StoreError(Exception):
    """The store refuses a request; the message may be shown to whoever asked."""


class NotFound(StoreError):  # noqa: N818
    """What was named does not exist for this user."""


class Conflict(StoreError):  # noqa: N818
    """The request contradicts what is already recorded."""


class Invalid(StoreError):  # noqa: N818
    """A value is outside of what is accepted."""


class Refused(StoreError):  # noqa: N818
    """The caller may not do this: a scope is missing, or the tier's limit is reached."""


class Unavailable(StoreError):  # noqa: N818
    """The database cannot be reached or is not ready; the message says what to check.

    `again` says whether repeating may help: "no", "yes" (nothing was done), or "keyed" (it
    is not known whether it was done, so that only what a key makes happen once may be
    repeated). `away` is said of a store that nobody reaches, not of one that is slow or full.
    """

    def __init__(self, message: str, *, again: Again = "no", away: bool = True) -> None:
        super().__init__(message)
        self.again = again
        self.away = away


class Unwalled(Unavailable):
    """What keeps users apart does not stand as declared: several must not be served."""
