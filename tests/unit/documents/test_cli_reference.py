"""The reference of the command line: what is committed is what the commands say."""

from __future__ import annotations

from docs.generate_cli import PAGE, page, undocumented


def test_the_committed_page_is_what_the_commands_say():
    """A changed option changes the page: `python docs/generate_cli.py` writes it."""
    assert PAGE.read_text() == page(), "run: python docs/generate_cli.py"


def test_every_command_and_every_option_has_a_help_text():
    """Nothing is left for users to guess."""
    assert undocumented() == []
