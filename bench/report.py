"""What was measured, as a table and as a chart."""

from __future__ import annotations

from html import escape
from typing import NamedTuple

Figures = dict[str, "float | None"]


class Outcome(NamedTuple):
    """One work: ours first, then the one it is compared with, then others to look at, then the floors."""

    title: str
    results: dict[str, Figures]
    target: float | None
    target_of_floor: float | None
    memory_counts: bool = False
    floors: int = 0

    def ratio(self) -> float | None:
        """Ours to theirs, more is better: of rates, or of memory where that is the matter."""
        ours, theirs = list(self.results.values())[:2]
        if self.memory_counts:
            return quotient(theirs["server_kib_each"], ours["server_kib_each"])
        return quotient(ours["rate"], theirs["rate"])

    def floor_ratio(self) -> float | None:
        """Our rate to that of the last floor."""
        everyone = list(self.results.values())
        return quotient(everyone[0]["rate"], everyone[-1]["rate"]) if self.floors else None


class Footprint(NamedTuple):
    """What a program pays before it does anything, less is better. The target is a share of theirs, or a bound."""

    title: str
    unit: str
    ours: float
    theirs: float | None
    target: float
    target_is_share: bool = True

    def ratio(self) -> float | None:
        """Theirs to ours."""
        return quotient(self.theirs, self.ours)


def quotient(upper: float | None, lower: float | None) -> float | None:
    return upper / lower if upper is not None and lower else None


def cell(value: float | None, digits: int = 1) -> str:
    return "n/a" if value is None else f"{value:,.{digits}f}"


def sides(figures: Figures, what: str, digits: int = 1) -> str:
    return f"{cell(figures['client_' + what], digits)} + {cell(figures['server_' + what], digits)}"


def both(figures: Figures, what: str) -> float | None:
    client, server = figures["client_" + what], figures["server_" + what]
    return client + server if client is not None and server is not None else None


COLUMNS = [
    "work", "who", "rate /s", "p50 us", "p99 us", "CPU us (client + server)", "peak MiB", "system calls", "page faults",
    "KiB each", "ratio", "target", "CPU ratio", "of floor", "target",
]  # fmt: skip


def table(outcomes: list[Outcome]) -> str:
    lines = ["| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    for outcome in outcomes:
        theirs = list(outcome.results.values())[1]
        for place, (name, figures) in enumerate(outcome.results.items()):
            cells = [
                outcome.title,
                name,
                cell(figures["rate"], 0),
                cell(figures["p50_us"]),
                cell(figures["p99_us"]),
                sides(figures, "cpu_us", 2),
                sides(figures, "peak_mib", 0),
                sides(figures, "syscalls", 2),
                sides(figures, "faults", 2),
                sides(figures, "kib_each") if outcome.memory_counts else "",
            ]
            if place == 0:
                cells += [times(outcome.ratio()), at_least(outcome.target)]
                cells += [times(quotient(both(figures, "cpu_us"), both(theirs, "cpu_us")))]
                cells += [percent(outcome.floor_ratio()), at_least(outcome.target_of_floor, percent)]
            else:
                cells += [""] * 5
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def footprint_table(rows: list[Footprint]) -> str:
    lines = ["| what | farcall | grpcio | ours to theirs | target |", "|---|---|---|---|---|"]
    for row in rows:
        share = "" if row.theirs is None else f"{row.ours / row.theirs:.3g}"
        theirs = "" if row.theirs is None else f"{row.theirs:,.2f}"
        target = f"<= {row.target:g}" + ("" if row.target_is_share else f" {row.unit}")
        lines.append(f"| {row.title}, {row.unit} | {row.ours:,.2f} | {theirs} | {share} | {target} |")
    return "\n".join(lines) + "\n"


def times(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}x"


def percent(value: float | None) -> str:
    return "" if value is None else f"{value:.0%}"


def at_least(value: float | None, text=times) -> str:  # type: ignore[no-untyped-def]
    return "" if value is None else f">= {text(value)}"


LEFT, WIDTH, ROW = 300, 600, 26


# Bars end here; what is longer has its number.
LONGEST = 40


def chart(outcomes: list[Outcome], footprints: list[Footprint]) -> str:
    """An SVG: one bar for each work, its ratio to the other library; lines at one and at the target."""
    bars = [(outcome.title, outcome.ratio(), outcome.target) for outcome in outcomes]
    bars += [(row.title, row.ratio(), 1 / row.target if row.target_is_share else None) for row in footprints]
    shown = [(title, ratio, target) for title, ratio, target in bars if ratio is not None]
    most = min(LONGEST, max([1.5, *(ratio for _, ratio, _ in shown), *(target or 0 for _, _, target in shown)]))
    scale = WIDTH / most
    height = ROW * (len(shown) + 2)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + 80}" height="{height}" '
        'font-family="sans-serif" font-size="13">',
        '<rect width="100%" height="100%" fill="white"/>',
        f'<text x="{LEFT}" y="17">times the other library, more is better; the red mark is the target</text>',
        f'<line x1="{LEFT + scale:.1f}" x2="{LEFT + scale:.1f}" y1="{ROW}" y2="{height - ROW / 2}" stroke="gray"/>',
    ]
    for place, (title, ratio, target) in enumerate(shown, start=1):
        top, width = place * ROW, min(ratio, most) * scale
        parts.append(f'<text x="{LEFT - 8}" y="{top + 17}" text-anchor="end">{escape(title)}</text>')
        parts.append(f'<rect x="{LEFT}" y="{top + 4}" width="{width:.1f}" height="{ROW - 8}" fill="#3b7dd8"/>')
        parts.append(f'<text x="{LEFT + width + 6:.1f}" y="{top + 17}">{ratio:.2f}x</text>')
        if target is not None:
            x = LEFT + target * scale
            parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{top + ROW}" stroke="red" stroke-width="2"/>')
    return "\n".join([*parts, "</svg>", ""])
