"""What a run found, as it is printed."""

from collections.abc import Iterator, Sequence
from typing import Any

from benchmarks.measures import columns

Found = dict[str, Any]


def told(found: Found) -> Iterator[str]:
    yield from (f"{name}: {value}" for name, value in found["facts"].items())
    if found["cold"]:
        yield "\n" + columns(list(_cold(found["cold"])))
    for one in found["warm"]:
        yield f"\nUser {one['user']} with {one['trades']:,} trades\n{one['table']}"
        refused = [tool for tool in one["tools"] if "refused" in tool]
        yield from (f"{tool['tool']}: refused: {tool['refused']}" for tool in refused)
        kept = one["memory"]
        yield f"Server over HTTP: {kept['now_mb']:.0f} MB, {kept['most_mb']:.0f} MB at most"
        if one["loads"]:
            yield columns(list(_loads(one["loads"])))
    if "far" in found:
        yield "\n" + columns(list(_far(found["far"])))
    if "peers" in found:
        yield "\n" + columns(list(_peers(found["peers"])))


def _times(one: Found) -> str:
    return f"{one['p50']:.2f}/{one['p99']:.2f}"


def _cold(tools: Sequence[Found]) -> Iterator[tuple[str, ...]]:
    yield "first question of a user, p50/p99 in ms", "floor", "store", "store/floor"
    for one in tools:
        ratio = f"{one['store_by_floor']:.2f}"
        yield one["tool"], _times(one["floor"]), _times(one["store"]), ratio


def _loads(loads: Sequence[Found]) -> Iterator[tuple[str, ...]]:
    yield "over HTTP", "clients", "answers/s", "p50/p99 in ms", "CPU of the server, ms"
    for one in loads:
        processor = f"{one['server_cpu_ms']:.2f}"
        yield one["tool"], str(one["clients"]), f"{one['per_second']:.0f}", _times(one), processor


def _far(far: Found) -> Iterator[tuple[str, ...]]:
    yield f"{far['milliseconds']:g} ms away", "way", "round trips", "store, p50/p99 in ms"
    for way, tools in far["ways"].items():
        for one in tools:
            yield one["tool"], way, f"{one['round_trips']:.2f}", _times(one)


def _peers(peers: Sequence[Found]) -> Iterator[tuple[str, ...]]:
    yield "the same question over stdio", "by", "p50/p99 in ms", "characters", "lacks"
    for one in peers:
        yield one["tool"], one["by"], _times(one), f"{one['characters']:,}", one["lacks"]
