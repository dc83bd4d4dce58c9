"""What every command shares: its arguments, described once, and how it is carried out.

A command is an async function of (session, own arguments, key, author) that answers with
`Written`. The decorator gives it the signature that callers see: the fields of a trade
said flatly become its own, the author is whoever asks, and `dry_run` is for whoever opens
the transaction: `Store.rehearse` in place of `Store.record`.
"""

from collections.abc import Awaitable, Callable, Sequence
from functools import wraps
from inspect import Parameter, signature
from typing import Annotated, Any

from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from store.audit import KEY_LENGTH, OWNER
from store.commands.flat import NONE, FlatTrade
from store.commands.written import Written

Command = Callable[..., Awaitable[Written]]

TradeNumber = Annotated[int, Field(ge=1, le=1_000_000_000, description="The trade's number")]
LegNumber = Annotated[int, Field(ge=1, le=8)]
Reason = Annotated[str, Field(description="Why, in a sentence; it is kept")]
Key = Annotated[
    str | NONE,
    Field(max_length=KEY_LENGTH, description="Your id of this call; see the description"),
]
DryRun = Annotated[bool, Field(description="Only show what would be written")]


def command(*, needed: Sequence[str] = ()) -> Callable[[Command], Command]:
    """Make a function a command; of a trade said flatly, the fields `needed` must be given."""

    def make(function: Command) -> Command:
        session, *own = signature(function, eval_str=True).parameters.values()
        shown = [
            field
            for parameter in own
            if parameter.name != "author"
            for field in _fields(parameter, needed)
        ]
        dry_run = Parameter("dry_run", Parameter.KEYWORD_ONLY, default=False, annotation=DryRun)
        # What must be given comes first.
        shown.sort(key=lambda parameter: parameter.default is not Parameter.empty)
        shown.append(dry_run)
        is_flat = any(parameter.annotation is FlatTrade for parameter in own)

        @wraps(function)
        async def carry_out(
            session: AsyncSession, *, author: str = OWNER, **arguments: Any
        ) -> Written:
            if is_flat:
                names = signature(FlatTrade).parameters
                said = {name: arguments.pop(name) for name in names if name in arguments}
                arguments["trade"] = FlatTrade(**said)
            return await function(session, **arguments, author=author)

        carry_out.__signature__ = signature(function).replace(  # type: ignore[attr-defined]
            parameters=[session, *shown], return_annotation=Written
        )
        carry_out.__annotations__ = {
            "session": AsyncSession,
            **{parameter.name: parameter.annotation for parameter in shown},
            "return": Written,
        }
        return carry_out

    return make


def _fields(parameter: Parameter, needed: Sequence[str]) -> list[Parameter]:
    """The parameter itself, or those that a trade said flatly stands for."""
    if parameter.annotation is not FlatTrade:
        return [parameter.replace(kind=Parameter.KEYWORD_ONLY)]
    return [
        field.replace(default=Parameter.empty) if field.name in needed else field
        for field in signature(FlatTrade, eval_str=True).parameters.values()
    ]
