"""What the guide shows of generated Rust is what `tests/guide.rs` compiles and runs."""

import pathlib
import re
import textwrap

HERE = pathlib.Path(__file__).resolve().parent
GUIDE = HERE.parents[1] / "docs" / "guide" / "rust-messages.md"


def examples() -> list[str]:
    """The pieces between `// guide` and `// end`, without their indentation."""
    text = (HERE / "tests" / "guide.rs").read_text()
    pieces = re.findall(r"^ *// guide\n(.*?)^ *// end\n", text, re.DOTALL | re.MULTILINE)
    return [textwrap.dedent(piece) for piece in pieces]


def test_the_guide_shows_what_was_tried():
    shown = re.findall(r"^```rust\n(.*?)^```\n", GUIDE.read_text(), re.DOTALL | re.MULTILINE)
    tried = examples()
    assert len(tried) == 8
    assert [piece for piece in tried if piece not in shown] == []
