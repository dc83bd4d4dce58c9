"""Claims against the truth, history by history."""

from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from benchmarks.evidence.files import Truth, read_truth
from benchmarks.evidence.histories import KINDS_WITHOUT_EDGE
from benchmarks.evidence.reading import read_book
from store.evidence.book import Book
from store.evidence.conditions import judge
from store.evidence.grid import Condition, conditions_of
from store.evidence.scores import evidence_of
from store.evidence.verdicts import CLAIMS

SAME = 0.5  # Share of common trades (Jaccard) from which a claim is the planted edge.
NAIVE_MIN, NAIVE_LIFT = 10, 0.10


@dataclass(frozen=True)
class Scored:
    """What was claimed of one history.

    `found`: a claim holds for mostly the trades in which something was planted. `biases`: of
    each claim the reported rate less the true one; `raw_biases` the same of the raw rate.
    `naive`: ranking by win rate names a condition 10 points above the book. `ranges`: some
    range of a score is called better than the rest; `predictive`: some score is.
    """

    kind: str
    n: int
    claims: int
    found: bool
    biases: tuple[float, ...]
    raw_biases: tuple[float, ...]
    naive: bool
    ranges: bool
    predictive: bool


def score(folder: Path, workers: int) -> list[Scored]:
    """Every history of a folder that `generate` made, in parallel."""
    truths = list(read_truth(folder))
    with ProcessPoolExecutor(workers) as pool:
        scored = pool.map(partial(score_one, folder), truths, chunksize=8)
        return list(track(scored, total=len(truths), console=Console(stderr=True)))


def score_one(folder: Path, truth: Truth) -> Scored:
    book = read_book(folder / f"{truth.name}.csv")
    claims = [verdict for verdict in judge(book).verdicts if verdict.tier in CLAIMS]
    held = [_held(book, verdict.parts) for verdict in claims]
    true = [float(truth.p[one].mean()) for one in held]
    edgeless = truth.kind in KINDS_WITHOUT_EDGE
    better, predictive = _scores(book) if edgeless else (False, False)
    return Scored(
        kind=truth.kind,
        n=len(truth),
        claims=len(claims),
        found=any(_overlap(one, truth.planted) >= SAME for one in held),
        biases=tuple(v.shrunk_win_rate - t for v, t in zip(claims, true, strict=True)),
        raw_biases=tuple(v.win_rate - t for v, t in zip(claims, true, strict=True)),
        naive=_naive(book),
        ranges=better,
        predictive=predictive,
    )


def _held(book: Book, parts: Iterable[Condition]) -> NDArray[np.bool_]:
    held = np.ones(len(book), bool)
    for part in parts:
        held &= np.array([part.holds(value) for value in book.facts[part.column]])
    return held


def _overlap(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    return float((one & other).sum() / max(1, (one | other).sum()))


def _naive(book: Book) -> bool:
    """GROUP BY condition, rank by win rate: is the best 10 points above the book?"""
    outcomes = np.asarray(book.outcomes)
    won, lost = outcomes > 0, outcomes < 0
    base = won.sum() / max(1, (won | lost).sum())
    best = base
    for condition in conditions_of(book.facts):
        held = _held(book, [condition])
        n = int((held & (won | lost)).sum())
        if n >= NAIVE_MIN:
            best = max(best, (held & won).sum() / n)
    return bool(best - base >= NAIVE_LIFT)


def _scores(book: Book) -> tuple[bool, bool]:
    """Every range from each whole number to each other, of both scores."""
    better = predictive = False
    for column in ("scanner_score", "ai_score"):
        evidence = evidence_of(
            book.outcomes,
            book.sides,
            book.days,
            book.numbers(column),
            tickers=book.facts["ticker"],
            families=2,
        )
        predictive |= evidence.predictive == "yes"
        if not better:
            better = any(
                evidence.range_verdict(low, high).verdict == "better"
                for low in range(0, 101)
                for high in range(low, 101)
            )
    return better, predictive
