"""Trades from a terminal, with the real program: recorded, read in a pipe, closed, corrected."""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from store.accounts import AccountEntry, put_account
from store.database import Store
from store.schema import add_user
from tests.ledger import record
from tests.server.running import trade_history

Typed: TypeAlias = Callable[..., Awaitable[tuple[int | None, str, str]]]

AT, LATER = "2026-01-05T10:15:00-05:00", "2026-01-08T15:30:00-05:00"
ENTRY = [
    "--account", "main", "--ticker", "aapl", "--opened-at", AT, "--quantity", "100",
    "--entry-price", "10.00", "--entry-fee", "1",
]  # fmt: skip


@pytest.fixture
async def trades(store: Store, database_url: str, tmp_path: Path) -> Typed:
    """`trade-history trades ...` on a ledger with one account."""
    async with store.write() as session:
        await put_account(session, AccountEntry(name="main", mode="live"))

    async def typed(*arguments: str, stdin: str = "") -> tuple[int | None, str, str]:
        return await trade_history(database_url, tmp_path, "trades", *arguments, typed=stdin)

    return typed


async def answer(trades: Typed, *arguments: str) -> dict[str, Any]:
    code, output, errors = await trades(*arguments, "--json")
    assert (code, errors) == (0, "")
    told: dict[str, Any] = json.loads(output)
    return told


async def test_a_trade_is_recorded_filled_closed_and_corrected(trades: Typed) -> None:
    """(11 - 10) x 40 + (12 - 10) x 60 - 1 - 0.5 = 158.50; without the exit's fee 159.00."""
    said = [
        await trades("record", *ENTRY, "--condition", "vix=18.5", "--condition", "regime=bull"),
        await trades(
            "fill", "1", "--side", "sell", "--quantity", "40", "--price", "11", "--filled-at",
            "2026-01-06T10:00:00", "--zone", "account",
        ),
        await trades("note", "1", "-", stdin="sold a part\ntoo early\n"),
        await trades("close", "1", "--price", "12", "--fee", "0.50", "--closed-at", LATER),
        await trades(
            "correct", "1", "--reason", "no fee was taken",
            "--fill", f"1 buy 100 @ 10 fee 1 at {AT}",
            "--fill", "1 sell 40 @ 11 at 2026-01-06T15:00Z", "--fill", f"1 sell 60 @ 12 at {LATER}",
        ),
    ]  # fmt: skip

    assert [(code, errors) for code, _, errors in said] == [(0, "")] * 5
    assert [output.splitlines()[0] for _, output, _ in said] == [
        "Trade recorded: trade 1 is open (live).",
        "Fill added: trade 1 is open (live).",
        "Note added: trade 1 is open (live).",
        "Trade ended: trade 1 is closed (live), net 158.50 USD, win.",
        "Trade corrected: trade 2 is closed (live), net 159.00 USD, win.",
    ]
    assert [line.split() for line in said[4][1].splitlines()[1:4]] == [
        ["field", "was", "now"], ["fees", "1.50", "1.00"], ["net_pnl", "158.50", "159.00"],
    ]  # fmt: skip
    shown = await answer(trades, "show", "1", "--notes")
    assert shown["trade"]["status"] == "superseded"
    assert shown["conditions"] == {"regime": "bull", "vix": "18.5"}
    assert shown["notes"][0]["untrusted_note"] == "sold a part\ntoo early\n"


async def test_a_spread_with_its_exit_is_one_command(trades: Typed) -> None:
    """(2.15 - 0.40 - 1.00 + 0.10) x 100 = 85."""
    done = await answer(
        trades, "record", "--account", "main", "--ticker", "SPY", "--opened-at", AT,
        "--closed-at", LATER, "--leg", "sell 1 put 450 2026-01-16 @ 2.15 exit 0.40",
        "--leg", "buy 1 put 440 2026-01-16 @ 1.00 exit 0.10",
    )  # fmt: skip

    assert (done["status"], done["net_pnl"]) == ("closed", "85.00")


async def test_the_list_is_plain_lines_in_a_pipe(trades: Typed, store: Store) -> None:
    await record(
        store,
        """
        2026-01-05  AAPL  +120.00  fees 1.30  strategy 'leap call of a very long name, so long'
        2026-01-06  SPY    -80.50  option put  exit stop
        2026-01-07  MSFT  +15.50  open
        """,
        account="main",
    )

    code, output, errors = await trades("list")

    assert (code, errors) == (0, "")
    assert output.splitlines()[0].startswith("2 closed live trades match: net 39.50 USD")
    assert [line.split("  ")[0].strip() or line.split()[0] for line in output.splitlines()[1:]] == [
        "number", "2", "1",
    ]  # fmt: skip
    assert "leap call of a very long name, so long" in output
    assert "\x1b" not in output
    assert all(line == line.rstrip() for line in output.splitlines())
    listed = await answer(trades, "list", "--ticker", "aapl", "--status", "all", "--limit", "1")
    assert [one["number"] for one in listed["trades"]] == [1]


async def test_a_page_says_how_to_go_on(trades: Typed, store: Store) -> None:
    await record(store, "2026-01-05 AAPL +1\n2026-01-06 AAPL +2", account="main")

    _, first, more = await trades("list", "--limit", "1")
    cursor = more.removeprefix("More: ").split()
    _, second, end = await trades("list", "--limit", "1", *cursor)

    assert [page.splitlines()[2].split()[0] for page in (first, second)] == ["2", "1"]
    assert (cursor[0], end) == ("--cursor", "")


async def test_a_dry_run_shows_all_and_writes_nothing(trades: Typed) -> None:
    code, output, _ = await trades("record", *ENTRY, "--key", "k", "--dry-run")

    assert code == 0
    lines = [line.strip() for line in output.splitlines()]
    assert lines[0] == (
        "Dry run, nothing was written. Trade recorded: trade 1 would be open (live)."
    )
    assert {"ticker: AAPL", "entry_price: 10", "opened_at: 2026-01-05T15:15:00Z"} <= set(lines)
    assert (await trades("show", "1"))[0] == 3
    assert (await answer(trades, "record", *ENTRY, "--key", "k"))["replayed"] is False


async def test_a_key_records_once(trades: Typed) -> None:
    first = await answer(trades, "record", *ENTRY, "--key", "k")
    again = await answer(trades, "record", *ENTRY, "--key", "k")

    assert (first["replayed"], again["replayed"], again["number"]) == (False, True, 1)
    assert (await trades("record", *ENTRY))[0] == 4


async def test_a_trade_is_voided(trades: Typed) -> None:
    await trades("record", *ENTRY)

    assert (await trades("void", "1", "--reason", "recorded twice"))[1] == (
        "Trade taken out: trade 1 is void (live).\n"
    )


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["show", "9"], 3, "trade-history: No trade 9.\n"),
        (["close", "9", "--price", "1", "--closed-at", AT], 3, "trade-history: No trade 9.\n"),
        (["record", *ENTRY[:-4], "--entry-price", "1,5"], 2,
         "trade-history: entry_price is '1,5'; a number such as 1234.56 is needed (no thousands"
         " separator, no currency).\n"),
        (["record", *ENTRY[2:], "--account", "mian"], 3,
         "trade-history: No account 'mian'. Known accounts: main.\n"),
        (["list", "--ticker", "NONE"], 3, "trade-history: No ticker"),
        (["list", "--since", "yesterday"], 2, "trade-history: since is 'yesterday'"),
    ],
)  # fmt: skip
async def test_a_refusal_is_a_sentence_and_an_exit_code(
    trades: Typed, store: Store, arguments: list[str], code: int, words: str
) -> None:
    await record(store, "2026-01-05 AAPL +1", account="main")

    found, output, errors = await trades(*arguments)

    assert (found, output) == (code, "")
    assert errors.startswith(words)
    assert errors.count("\n") == 1


@pytest.mark.parametrize("dialect", ["sqlite"])
@pytest.mark.parametrize(
    "arguments",
    [["record"], ["show"], ["show", "one"], ["list", "--order", "upside"], ["close", "1"],
     ["add"], ["note", "1"],
     ["record", *ENTRY, "--side", "up"], ["correct", "1", "--price", "3"]],
)  # fmt: skip
async def test_what_is_typed_wrongly_is_explained(trades: Typed, arguments: list[str]) -> None:
    code, output, errors = await trades(*arguments)

    assert (code, output) == (2, "")
    assert errors.splitlines()[-1].startswith("Error: ")


@pytest.mark.parametrize("dialect", ["sqlite"])
@pytest.mark.parametrize(
    "verb", ["list", "show", "record", "fill", "close", "correct", "void", "note"]
)
async def test_help_describes_every_option_and_gives_an_example(trades: Typed, verb: str) -> None:
    code, output, _ = await trades(verb, "--help")

    assert code == 0
    assert f"Example: trade-history trades {verb}" in output
    writes = verb not in ("list", "show")
    assert [name in output for name in ("--user", "--json", "--key", "--dry-run")] == [
        True, True, writes, writes,
    ]  # fmt: skip


async def test_each_user_has_trades_of_their_own(trades: Typed, store: Store) -> None:
    await add_user(store, 2, "second")
    async with store.write(2) as session:
        await put_account(session, AccountEntry(name="main", mode="live"))
    await trades("record", *ENTRY)

    done = await answer(trades, "record", *ENTRY, "--user", "2")

    assert done["number"] == 1
    assert (await trades("void", "2", "--reason", "x", "--user", "2"))[0] == 3
    await trades("void", "1", "--reason", "x", "--user", "2")
    assert (await answer(trades, "show", "1"))["trade"]["status"] == "open"


async def test_markup_and_escapes_in_names_are_printed_as_they_are(
    trades: Typed, store: Store
) -> None:
    await record(store, "2026-01-05 AAPL +1 strategy '[red]x[/red]'", account="main")

    assert "[red]x[/red]" in (await trades("list"))[1]
    assert "strategy: [red]x[/red]" in (await trades("show", "1"))[1]
