"""What the record says about a trade, for the prompt of a model."""

from typing import Any, Literal

import click

from store.cli.terminal import as_json_option, run, say, say_json, user_option
from store.context import Context, context
from store.database import Store

POINTS = click.FloatRange(0, 100)


@click.command("context", epilog="Example: trade-history context AAPL --strategy swing")
@click.argument("ticker")
@click.option("--strategy")
@click.option("--structure", help="Like single or vertical.")
@click.option("--option-type", type=click.Choice(["call", "put"]))
@click.option("--scanner-score", type=POINTS)
@click.option("--ai-score", type=POINTS)
@click.option("--delta", type=click.FloatRange(-1, 1))
@click.option("--iv", type=POINTS, help="0.3 is 30 %.")
@click.option("--dte", type=click.IntRange(0, 10_000), help="Days to expiry.")
@click.option("--condition", "conditions", multiple=True, help="A recorded fact, as name=value.")
@click.option(
    "--mode",
    type=click.Choice(["live", "paper", "all"]),
    help="Live unless the ticker was only traded on paper.",
)
@click.option(
    "--max-tokens",
    type=click.IntRange(min=1),
    default=400,
    show_default=True,
    help="How long the text may be: its bytes / 4.",
)
@user_option
@as_json_option
def context_(
    ticker: str,
    conditions: tuple[str, ...],
    mode: Literal["live", "paper", "all"] | None,
    user: int | None,
    as_json: bool,
    **setup: Any,
) -> None:
    """Print the history of TICKER as text for a prompt, each rate with its n and interval.

    The options say what is known of a trade about to be taken. What there is no room for is
    left out from the end, and named.
    """

    async def asked(store: Store) -> Context:
        return await store.answer(
            lambda session: context(
                session, ticker=ticker, conditions=list(conditions), mode=mode, **setup
            ),
            user,
        )

    found = run(asked)
    say_json(found.model_dump()) if as_json else say(found.text)
