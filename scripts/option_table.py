"""Writes the table of options in docs/guide/differences.md, from what the native module says of them.

    python scripts/option_table.py [--check]

Run it with the Python that has farcall (.venv/bin/python). `--check` writes nothing and fails when the table is not
what it should be.
"""

from __future__ import annotations

import pathlib
import sys

from farcall import _native

PAGE = pathlib.Path(__file__).resolve().parents[1] / "docs" / "guide" / "differences.md"
BEGIN = "<!-- options: written by scripts/option_table.py -->\n"
END = "<!-- /options -->\n"


def table() -> str:
    """The table as Markdown: first the options that do nothing, then the names of the others."""
    rows = sorted(_native.option_table())
    lines = ["| option | of | why it has no effect |", "|---|---|---|"]
    lines += [f"| `{key}` | {side} | {why} |" for key, _, side, why in rows if why]
    lines += ["", "These do what they do there (`farcall.*`: what the guide says), with a value of the type given:", ""]
    lines += ["| option | of | type |", "|---|---|---|"]
    lines += [f"| `{key}` | {side} | {kind} |" for key, kind, side, why in rows if not why]
    return "\n".join(lines) + "\n"


def rewritten(page: str) -> str:
    """The page with the table as it should be."""
    before, _, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise SystemExit(f"{PAGE}: the lines around the table are gone: {BEGIN.strip()} and {END.strip()}")
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


if __name__ == "__main__":
    page = PAGE.read_text(encoding="utf-8")
    wanted = rewritten(page)
    if page != wanted and "--check" in sys.argv[1:]:
        raise SystemExit(f"{PAGE} is not what the code says: run .venv/bin/python scripts/option_table.py")
    PAGE.write_text(wanted, encoding="utf-8")
