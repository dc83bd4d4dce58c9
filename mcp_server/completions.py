"""Completions: the user's own tickers, strategies, accounts and numbers of trades."""

import time
from collections.abc import Awaitable, Callable
from functools import partial

from mcp.types import (
    Completion,
    CompletionArgument,
    CompletionContext,
    PromptReference,
    ResourceTemplateReference,
)

from mcp_server.door import Door
from store.errors import StoreError

VALUES_MAX = 100  # The protocol's.
TYPED_MAX = 100  # No name is longer.

Completing = Callable[
    [PromptReference | ResourceTemplateReference, CompletionArgument, CompletionContext | None],
    Awaitable[Completion],
]


def completer(door: Door) -> Completing:
    """Answers with what the user who asks has recorded, and with nothing where that fails:
    whoever types is not to be stopped."""

    async def complete(
        ref: PromptReference | ResourceTemplateReference,
        argument: CompletionArgument,
        _context: CompletionContext | None,
    ) -> Completion:
        from store.queries.naming import begin_with

        if len(argument.value) > TYPED_MAX:
            return Completion(values=[])
        began = time.monotonic()
        asked = {"argument": argument.name, "value": argument.value}
        look_up = partial(
            begin_with, what=argument.name, typed=argument.value, limit=VALUES_MAX + 1
        )
        try:
            found = await door.answer(look_up)
        except StoreError:
            door.log("completion/complete", asked, began, "failed")
            return Completion(values=[])
        door.log("completion/complete", asked, began, "answered")
        return Completion(values=found[:VALUES_MAX], has_more=len(found) > VALUES_MAX)

    return complete
