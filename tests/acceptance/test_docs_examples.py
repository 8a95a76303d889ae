"""Examples in documents: each one is executed, so that documents cannot lie (`support.documents` says how)."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.documents import Story, agrees, blocks_of

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted(ROOT.joinpath("docs").rglob("*.md"))]
WITH_EXAMPLES = [document for document in DOCUMENTS if blocks_of(document.read_text())]


@pytest.mark.timeout(180)
@pytest.mark.parametrize("document", WITH_EXAMPLES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_example_of_a_document_does_what_the_document_says(document, tmp_path):
    """Scripts run, and commands print what stands below them."""
    with Story(document, tmp_path) as story:
        assert story.execute() > 0


@pytest.mark.parametrize(
    ("expected", "printed", "result"),
    [
        ("worker 1 started (pid 12)", "worker 1 started (pid 4711)", True),
        ("a  1\n...\nb  2", "a 1\nx\ny\nb 2", True),
        ("error: ... end", "error: anything end", True),
        ("42", "43", False),
        ("42", "42\nand more", False),
    ],
)
def test_what_a_command_printed_is_compared_where_it_is_stable(expected, printed, result):
    """Process numbers and dots match anything; everything else has to be the same."""
    assert agrees(expected, printed) is result
