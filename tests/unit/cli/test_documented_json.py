"""What `--json` prints is in the reference."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from geartrain.client import Outcome, Partition, RegistrationDetails, RegistrationInfo, ShardLag
from geartrain.registry import Execution, Submitted

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "cli-json.md").read_text()


@pytest.mark.parametrize(
    "shape", [RegistrationInfo, RegistrationDetails, Outcome, Submitted, Partition, ShardLag, Execution]
)
def test_every_field_is_documented(shape):
    """A field that is added here has to be explained there (`info` is spread over its object)."""
    named = set(re.findall(r"`(\w+)`", PAGE)) | set(re.findall(r'"(\w+)":', PAGE))
    missing = {item.name for item in fields(shape)} - named - {"info"}
    assert not missing
