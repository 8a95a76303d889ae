"""What a script may ask for, and the name of the environment that has it."""

from __future__ import annotations

import pytest

from geartrain.environments import environment_of, fits, new_salt, normalised, read_file
from geartrain.errors import ArgumentError


def test_one_spelling_each_once_in_order():
    """Two scripts that ask for the same in other words share an environment."""
    assert normalised(["Foo_Bar [b,a]>=1 ,<2", "zoo==1.0  # why", "", "# nothing", "foo.bar[a,b] < 2, >= 1"]) == (
        "foo-bar[a,b]<2,>=1",
        "zoo==1.0",
    )


@pytest.mark.parametrize(
    "text",
    ["/wheels/colour-1.0-py3-none-any.whl", "colour-1.0-py3-none-any.whl", "git+ssh://host/repo@main", "file:///a.zip"],
)
def test_locations_stay_as_they_are(text):
    """Paths, names of files in the folder of wheels, and URLs."""
    assert normalised([text]) == (text,)


def test_a_name_with_a_url_is_a_requirement():
    """`name @ URL`, whatever spaces it has; and its marker stays."""
    url = "file:///w/colour-1.0-py3-none-any.whl"
    assert normalised([f"Colour@{url}", "zoo;python_version<'4'"]) == (
        f"colour @ {url}",
        'zoo ; python_version < "4"',
    )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("--index-url=evil", "options of pip"),
        ("-r other.txt", "options of pip"),
        ("a\nb", "no requirement"),
        ("colour=1", "none that pip would understand"),
        ("wheels/colour-1.0-py3-none-any.whl", "relative path"),
        (7, "no string"),
    ],
)
def test_what_is_no_requirement_is_refused(text, why):
    """The message names it, and says why: nothing of it can become an option of pip."""
    with pytest.raises(ArgumentError, match=why):
        normalised([text])


def test_a_string_is_no_list():
    """Otherwise each of its letters would be a package."""
    with pytest.raises(ArgumentError, match="write a list"):
        normalised("colour")


def test_an_environment_has_the_name_of_its_requirements_and_python():
    """The same on every machine; another one for each set, each minor version, and each salt."""
    one, other = ("colour==1.0",), ("colour==2.0",)
    assert environment_of(()) == ""
    assert environment_of(one) == environment_of(one)
    assert len({environment_of(one), environment_of(other), environment_of(one, python="3.99")}) == 3
    salted = environment_of(one, new_salt())
    assert salted != environment_of(one)
    assert fits(salted, one)
    assert fits(environment_of(one), one)
    assert not fits(salted, other)


def test_a_file_of_requirements(tmp_path):
    """Comments and continued lines as pip has them; relative paths are beside the file."""
    file = tmp_path / "requirements.txt"
    file.write_text("# ours\ncolour==1.0 # pinned\n\nzoo \\\n  >=1\n./wheels/a-1.0-py3-none-any.whl\n")
    path = str(tmp_path / "wheels" / "a-1.0-py3-none-any.whl")
    assert read_file(file) == ["colour==1.0", "zoo    >=1", path]
    assert normalised(read_file(file)) == (path, "colour==1.0", "zoo>=1")


def test_a_file_with_options_is_refused(tmp_path):
    """With the line: what else it asks for would be missing without a word."""
    file = tmp_path / "requirements.txt"
    file.write_text("colour\n--index-url somewhere\n")
    with pytest.raises(ArgumentError, match="line 2"):
        read_file(file)
    with pytest.raises(ArgumentError, match="cannot be read"):
        read_file(tmp_path / "none.txt")
