"""The benchmark of the evidence: histories whose truth is known, and what is claimed of them."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from benchmarks.evidence.__main__ import main
from benchmarks.evidence.files import COLUMNS, read_truth, write
from benchmarks.evidence.histories import KINDS, PLANTED, history
from benchmarks.evidence.reading import read_book


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("kind", KINDS)
def test_a_history_adds_up_to_the_cent(kind: str, tmp_path: Path) -> None:
    """Net P&L is what prices, quantity and fees say, and its sign is who won."""
    made = history(kind, 200, seed=4)
    write(made, tmp_path)

    found = rows(tmp_path / f"{made.name}.csv")

    assert list(found[0]) == list(COLUMNS)
    for row in found:
        entry, exit_, fees = (float(row[name]) for name in ("entry_price", "exit_price", "fees"))
        sign = 1 if row["direction"] == "long" else -1
        gross = (exit_ - entry) * sign * int(row["quantity"]) * 100
        assert float(row["pnl"]) == pytest.approx(gross - fees, abs=1e-6)
        assert row["entry_time"] < row["exit_time"]
        assert exit_ >= 0


def test_the_same_seed_makes_the_same_history_and_another_seed_another() -> None:
    one, same, other = (history("daily", 100, seed) for seed in (7, 7, 8))

    assert all((one.columns[name] == same.columns[name]).all() for name in one.columns)
    assert (one.columns["pnl"] != other.columns["pnl"]).any()


@pytest.mark.parametrize("kind", PLANTED)
def test_planted_edges_have_their_size_and_prevalence(kind: str) -> None:
    """Over 40 histories: the chance inside less that outside, and the share of trades."""
    _, points, percent = kind.split("_")
    made = [history(kind, 500, seed) for seed in range(40)]

    lifts = [one.p[one.planted].mean() - one.p[~one.planted].mean() for one in made]
    shares = [one.planted.mean() for one in made]
    assert np.mean(lifts) == pytest.approx(int(points) / 100, abs=1e-9)
    assert np.mean(shares) == pytest.approx(int(percent) / 100, abs=0.03)


def test_chances_are_kept_by_what_is_won() -> None:
    """Of 12,000 trades without an edge, as many win as their chances add up to; through a
    factor with memory fewer trades are independent, and the sum strays further."""
    for kind, points in (("independent", 0.015), ("daily", 0.02), ("memory", 0.05)):
        made = [history(kind, 400, seed) for seed in range(30)]
        won = np.mean([(one.columns["pnl"] > 0).mean() - one.p.mean() for one in made])
        assert abs(won) < points, kind


def test_the_mean_return_is_what_many_trades_come_to() -> None:
    """Before fees and cents: within a point of the mean over 60,000 trades."""
    for kind in ("independent", "trap"):
        made = [history(kind, 2000, seed) for seed in range(30)]
        seen = [
            ((one.columns["exit_price"] - one.columns["entry_price"]) / one.columns["entry_price"])[
                one.columns["direction"] == "long"
            ].mean()
            for one in made
        ]
        told = [one.mean_return[one.columns["direction"] == "long"].mean() for one in made]
        assert np.mean(seen) == pytest.approx(np.mean(told), abs=0.01)


def test_the_trap_wins_more_often_and_loses_money() -> None:
    for seed in range(10):
        made = history("trap", 500, seed)
        assert made.p[made.planted].mean() > made.p[~made.planted].mean() + 0.2
        assert made.mean_return[made.planted].mean() < 0


def test_what_is_read_is_what_was_written_in_order_of_entry(tmp_path: Path) -> None:
    made = history("planted_20_25", 300, seed=2)
    (tmp_path / "truth.jsonl").write_text(json.dumps(write(made, tmp_path)))

    book = read_book(tmp_path / f"{made.name}.csv")
    [truth] = read_truth(tmp_path)

    assert [outcome > 0 for outcome in book.outcomes] == (made.columns["pnl"] > 0).tolist()
    assert book.facts["ai_score"] == made.columns["ai_score"].tolist()
    assert (truth.planted == made.planted).all()
    assert truth.p == pytest.approx(made.p, abs=1e-4)
    assert list(book.days) == sorted(book.days)


def test_claims_are_said_in_the_columns_of_the_file(tmp_path: Path) -> None:
    made = history("planted_30_25", 500, seed=1)
    write(made, tmp_path)
    (tmp_path / "short.csv").write_text(",".join(COLUMNS) + "\n")

    told = run("claims", tmp_path, tmp_path / "out.jsonl", "--workers", "1")

    assert told.exit_code == 0, told.output
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    by_name: dict[str, list[dict[str, Any]]] = {one["dataset"]: one["claims"] for one in lines}
    assert by_name["short"] == []
    [best, *_] = by_name[made.name]
    assert best["tier"] == "supported"
    [(column, value)] = best["condition"].items()
    [(planted, held)] = made.condition.items()
    assert column == planted
    assert value == held if isinstance(held, str) else value == pytest.approx(held, abs=1e-3)
    inside = made.columns["pnl"][made.planted] > 0
    assert made.p[~made.planted].mean() < best["win_rate"] <= inside.mean()


@pytest.mark.parametrize(
    ("column", "cell", "said"),
    [
        ("option_type", "X", "option_type is 'X'; CALL or PUT is accepted"),
        ("direction", "up", "direction is 'up'; long or short is accepted"),
        ("pnl", "", "pnl is ''; a number is accepted"),
        ("ai_score", "high", "ai_score is 'high'; a number is accepted"),
        ("entry_time", "monday", "entry_time is 'monday'; a moment such as"),
    ],
)
def test_a_cell_that_cannot_be_is_named_and_spoils_no_other_file(
    tmp_path: Path, column: str, cell: str, said: str
) -> None:
    good = history("daily", 60, seed=1)
    write(good, tmp_path)
    bad = rows(tmp_path / f"{good.name}.csv")
    bad[1][column] = cell
    with (tmp_path / "bad.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(bad)

    told = run("claims", tmp_path, tmp_path / "out.jsonl", "--workers", "1")

    assert told.exit_code == 1
    assert f"bad.csv, line 3: {said}" in told.output
    [line] = (tmp_path / "out.jsonl").read_text().splitlines()
    assert json.loads(line)["dataset"] == good.name


def test_a_file_without_its_columns_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_text("id,ticker\n1,AAPL\n")

    told = run("claims", tmp_path, tmp_path / "out.jsonl", "--workers", "1")

    assert told.exit_code == 1
    assert "bad.csv: no column strategy, option_type" in told.output
