"""What was measured, as a chart: how zchat's figures relate to each peer's, on one logarithmic scale."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from html import escape

from scripts.peers_report import KINDS, Measured, is_ours, is_sealed

PLOTTED = {
    "W1": ("cpu_us_per_delivery",),
    "W2": ("cpu_us_per_message", "p99_us"),
    "W3": ("cpu_us_per_message",),
    "W4": ("p50_us", "p99_us"),
    "W5": ("memory_kib_per_client", "idle_cpu_percent"),
}
"""The figures that are shown; of all of them less is better."""

WIDTH, LEFT, RIGHT = 960, 150, 150
ROW, GAP, HEAD, FOOT = 20, 16, 76, 30
"""Pixels: of the picture and its margins; of a row, between groups, above and below."""

MOST = 64.0
"""The ratio at which bars are cut short."""

CHEAPER, DEARER = "#2a7f62", "#c2553f"


@dataclass(frozen=True, slots=True)
class Bar:
    """zchat over a peer: the median of the ratios, the least and the greatest."""

    peer: str
    ratio: float
    least: float
    greatest: float


def _groups(all_found: Iterable[Measured]) -> Iterator[tuple[str, list[Bar]]]:
    for found in all_found:
        for name in PLOTTED.get(found.workload, ()):
            bars = [
                Bar(peer, statistics.median(ratios), min(ratios), max(ratios))
                for ours in _shown(found)
                for peer in found.peers(ours)
                if not is_ours(peer) and (ratios := [one for one in found.ratios(ours, peer, name) if one > 0])
            ]
            if bars:
                yield f"{found.workload} {found.title}, {found.case}: {KINDS[name].label}", bars


def _shown(found: Measured) -> list[str]:
    """The first variant of zchat that does not encrypt, and the first that does."""
    sides = ([ours for ours in found.ours() if is_sealed(ours) == sealed] for sealed in (False, True))
    return [side[0] for side in sides if side]


def _x(ratio: float) -> float:
    """Where a ratio lies."""
    share = math.log(min(max(ratio, 1 / MOST), MOST)) / math.log(MOST)
    return LEFT + (WIDTH - LEFT - RIGHT) * (1 + share) / 2


def _text(x: float, y: float, said: str, more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" {more}>{escape(said)}</text>'


def plot(all_found: Iterable[Measured]) -> str:
    """The chart, as SVG."""
    body: list[str] = []
    y = float(HEAD)
    for title, bars in _groups(all_found):
        y += GAP
        body.append(_text(12, y, title, 'font-weight="bold"'))
        y += 8
        for bar in bars:
            body += _bar(bar, y)
            y += ROW
    height = y + FOOT
    axis = []
    for power in range(-6, 7, 2):
        tick = 2.0**power
        x, said = _x(tick), f"{tick:g}×" if tick >= 1 else f"1/{1 / tick:g}×"
        axis.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{HEAD}" y2="{y:.1f}" stroke="{"#555" if power == 0 else "#ddd"}"/>'
        )
        axis += [_text(x, at, said, 'text-anchor="middle" fill="#555"') for at in (HEAD - 6, y + 16)]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height:.0f}" '
            f'viewBox="0 0 {WIDTH} {height:.0f}" font-family="sans-serif" font-size="12" role="img">',
            "<title>zchat compared to other servers</title>",
            '<rect width="100%" height="100%" fill="#fff"/>',
            _text(12, 24, "zchat / peer, less is better", 'font-size="16" font-weight="bold"'),
            _text(
                12,
                44,
                f"To the left zchat costs less, to the right more; beside TLS it is zchat CURVE. Median and spread; "
                f"logarithmic, up to {MOST:g}×.",
            ),
            *axis,
            *body,
            "</svg>\n",
        ]
    )


def _bar(bar: Bar, y: float) -> list[str]:
    one, end, least, greatest = (_x(ratio) for ratio in (1.0, bar.ratio, bar.least, bar.greatest))
    left, width, middle = min(one, end), abs(end - one), y + ROW / 2
    fill = CHEAPER if bar.ratio < 1 else DEARER
    said = f"{bar.ratio:.2f} ({bar.least:.2f}–{bar.greatest:.2f})"
    return [
        _text(LEFT - 8, middle + 4, bar.peer, 'text-anchor="end"'),
        f'<rect x="{left:.1f}" y="{y + 3:.1f}" width="{width:.1f}" height="{ROW - 6}" fill="{fill}"/>',
        f'<line x1="{least:.1f}" x2="{greatest:.1f}" y1="{middle:.1f}" y2="{middle:.1f}" stroke="#222"/>',
        _text(WIDTH - RIGHT + 8, middle + 4, said),
    ]
