"""How good is the evidence? On histories whose truth is known.

    python -m benchmarks.evidence generate DIR --seed 1
    python -m benchmarks.evidence score DIR
    python -m benchmarks.evidence claims DIR OUT.jsonl

`generate` writes histories of 30 to 2,000 trades as CSV files: without an edge (independent,
moved by a daily factor, by one with memory), with a planted edge of 10 to 30 points for 10 to
50 % of the trades, with a condition that wins more often and loses money, with an edge that
faded. `score` runs the tools' own code on them and prints how often a claim was false, how
often an edge was found, how far the reported rates are off and how often intervals hold the
truth, beside a ranking by win rate. `claims` writes what is claimed of any files of these
columns, one line of JSON each.
"""

import json
import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.evidence.claims import claims_of
from benchmarks.evidence.coverage import coverages
from benchmarks.evidence.files import TRUTH, write
from benchmarks.evidence.histories import KINDS, KINDS_WITHOUT_EDGE, SIZES, history
from benchmarks.evidence.reading import UnreadableError
from benchmarks.evidence.scoring import Scored, score

WITH_SOMETHING = (200, 500, 2000)  # Sizes at which there is something to be found.
FOLDER = click.Path(file_okay=False, path_type=Path)
WORKERS = os.cpu_count() or 1


@click.group(help=__doc__.splitlines()[0] if __doc__ else None)
def main() -> None: ...


@main.command()
@click.argument("folder", type=FOLDER)
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--histories", type=int, default=25, show_default=True, help="Of each kind and size")
def generate(folder: Path, seed: int, histories: int) -> None:
    """Write histories and their truth into FOLDER."""
    folder.mkdir(parents=True, exist_ok=True)
    cells = [
        (kind, n)
        for kind in KINDS
        for n in (SIZES if kind in KINDS_WITHOUT_EDGE else WITH_SOMETHING)
    ]
    with (folder / TRUTH).open("w") as truth:
        for kind, n in track(cells, console=Console(stderr=True)):
            for k in range(histories):
                line = write(history(kind, n, seed * 100_000 + k), folder)
                truth.write(json.dumps(line) + "\n")
    click.echo(f"{len(cells) * histories} histories in {folder}")


@main.command()
@click.argument("folder", type=FOLDER)
@click.argument("out", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--workers", type=int, default=WORKERS, show_default=True)
def claims(folder: Path, out: Path, workers: int) -> None:
    """Write what is claimed of every CSV file in FOLDER into OUT, a line of JSON each."""
    paths = [path for path in sorted(folder.glob("*.csv")) if path.is_file()]
    refused = []
    with out.open("w") as lines, ProcessPoolExecutor(workers) as pool:
        results = pool.map(_claims_or_why_not, paths, chunksize=4)
        for found in track(results, total=len(paths), console=Console(stderr=True)):
            if isinstance(found, str):
                refused.append(found)
            else:
                lines.write(json.dumps(found) + "\n")
    click.echo(f"{len(paths) - len(refused)} of {len(paths)} files, claims in {out}")
    if refused:
        raise click.ClickException("\n".join(["not read:", *refused]))


def _claims_or_why_not(path: Path) -> dict[str, Any] | str:
    try:
        return claims_of(path)
    except UnreadableError as error:
        return str(error)


@main.command(name="score")
@click.argument("folder", type=FOLDER)
@click.option("--workers", type=int, default=WORKERS, show_default=True)
@click.option("--intervals", type=int, default=2000, show_default=True, help="Samples of each")
@click.option("--seed", type=int, default=1, show_default=True, help="Of the intervals' samples")
def score_folder(folder: Path, workers: int, intervals: int, seed: int) -> None:
    """Score the tools' claims about the histories in FOLDER against their truth."""
    scored = score(folder, workers)
    cells: dict[tuple[str, int], list[Scored]] = defaultdict(list)
    for one in scored:
        cells[one.kind, one.n].append(one)
    console = Console(width=130)
    console.print(_claims_table(cells))
    _pooled(console, scored)
    table = Table("interval", "n", "samples", "holds the truth", "wholly above it")
    for found in coverages(intervals, seed):
        holds, above = (part / max(1, found.drawn) for part in (found.holds, found.above))
        table.add_row(found.what, str(found.n), str(found.drawn), f"{holds:.1%}", f"{above:.1%}")
    console.print(table)


def _claims_table(cells: dict[tuple[str, int], list[Scored]]) -> Table:
    table = Table(
        "history", "trades", "histories", "any claim", "planted found", "bias", "raw bias",
        "naive claim", "any range", "predictive",
    )  # fmt: skip
    for (kind, n), group in cells.items():
        edgeless = kind in KINDS_WITHOUT_EDGE
        table.add_row(
            kind,
            str(n),
            str(len(group)),
            _share(one.claims > 0 for one in group),
            "" if edgeless else _share(one.found for one in group),
            _points([bias for one in group for bias in one.biases]),
            _points([bias for one in group for bias in one.raw_biases]),
            _share(one.naive for one in group),
            _share(one.ranges for one in group) if edgeless else "",
            _share(one.predictive for one in group) if edgeless else "",
        )
    return table


def _pooled(console: Console, scored: Sequence[Scored]) -> None:
    edgeless = [one for one in scored if one.kind in KINDS_WITHOUT_EDGE and one.n >= 50]
    console.print(
        f"Without an edge, 50 trades and more ({len(edgeless)} histories): any claim"
        f" {_share(one.claims > 0 for one in edgeless)}, ranking by win rate"
        f" {_share(one.naive for one in edgeless)}, any range"
        f" {_share(one.ranges for one in edgeless)}, a score predictive"
        f" {_share(one.predictive for one in edgeless)}."
    )
    for points in ("10", "20", "30"):
        for n in WITH_SOMETHING:
            of = [one for one in scored if one.kind.startswith(f"planted_{points}_") and one.n == n]
            console.print(
                f"Planted +{points} points, {n} trades, over all prevalences: found"
                f" {_share(one.found for one in of)}."
            )
    every = [bias for one in scored for bias in one.biases]
    raw = [bias for one in scored for bias in one.raw_biases]
    console.print(f"Mean bias of reported rates {_points(every)} points, of raw {_points(raw)}.")


def _share(those: Iterable[bool]) -> str:
    flags = list(those)
    return f"{sum(flags) / len(flags):.1%}" if flags else "-"


def _points(values: Sequence[float]) -> str:
    return f"{100 * sum(values) / len(values):+.1f}" if values else "-"


if __name__ == "__main__":
    main()
