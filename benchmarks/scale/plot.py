"""Curves on two logarithmic axes as SVG, readable on light and on dark."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10

WIDTH, HEIGHT, GAP = 460, 300, 70
COLOURS = ("#2a7de1", "#d9730d", "#2e9e5b", "#b14fc5", "#8a8f98", "#c43d3d")
STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#333}.grid{stroke:#8884;stroke-width:1}"
    "polyline{fill:none;stroke-width:2}.floor{stroke-dasharray:4 4;stroke-width:1.4}"
    "@media(prefers-color-scheme:dark){text{fill:#ccc}}"
)


@dataclass(frozen=True)
class Line:
    name: str
    points: Sequence[tuple[float, float]]
    dashed: bool = False


@dataclass(frozen=True)
class Panel:
    title: str
    lines: Sequence[Line]


def plot(panels: Sequence[Panel]) -> str:
    """The panels beside each other, milliseconds upwards, one scale for all of them."""
    shown = [panel for panel in panels if panel.lines]
    heights = [y for panel in shown for line in panel.lines for _x, y in line.points]
    low, high = floor(log10(min(heights))), ceil(log10(max(heights)))
    names = list(dict.fromkeys(line.name for panel in shown for line in panel.lines))
    colours = dict(zip(names, COLOURS, strict=False))
    width, height = len(shown) * (WIDTH + GAP) + 40, HEIGHT + 110 + 16 * ceil(len(names) / 2)
    drawn = [
        part
        for place, panel in enumerate(shown)
        for part in _panel(panel, GAP - 10 + place * (WIDTH + GAP), low, high, colours)
    ]
    for place, name in enumerate(names):
        x, y = 60 + place % 2 * 300, HEIGHT + 100 + 16 * (place // 2)
        drawn.append(f'<rect x="{x}" y="{y - 9}" width="12" height="4" fill="{colours[name]}"/>')
        drawn.append(f'<text x="{x + 18}" y="{y}">{escape(name)}</text>')
    drawn.append(f'<text x="60" y="{HEIGHT + 80}">Solid: store. Dashed: the driver alone.</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"'
        f' width="{width}"><style>{STYLE}</style>{"".join(drawn)}</svg>\n'
    )


def _panel(
    panel: Panel, left: float, low: int, high: int, colours: dict[str, str]
) -> Iterator[str]:
    across = [x for line in panel.lines for x, _y in line.points]
    first, last = floor(log10(min(across))), max(ceil(log10(max(across))), 1)
    wide = WIDTH / max(1, last - first)

    def at(x: float, y: float) -> tuple[float, float]:
        share = (log10(y) - low) / max(1, high - low)
        return left + (log10(x) - first) * wide, 40 + HEIGHT * (1 - share)

    yield f'<text x="{left}" y="20">{escape(panel.title)}, p50 in ms</text>'
    for power in range(low, high + 1):
        y = at(10**first, 10.0**power)[1]
        yield f'<path class="grid" d="M{left} {y:.1f}h{WIDTH}"/>'
        yield f'<text x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">{10.0**power:,g}</text>'
    for power in range(first, last + 1):
        x, y = at(10**power, 10.0**low)
        yield f'<text x="{x:.1f}" y="{y + 18:.1f}" text-anchor="middle">{10**power:,}</text>'
    for line in panel.lines:
        where = " ".join("{:.1f},{:.1f}".format(*at(*point)) for point in line.points)
        kind = ' class="floor"' if line.dashed else ""
        yield f'<polyline{kind} stroke="{colours[line.name]}" points="{where}"/>'
