"""Python text that is being generated, with the place in the pipeline that each of its lines stands for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Place(NamedTuple):
    """Where an exception of one line comes from.

    Attributes:
        number: the step's number; 1 is the first.
        record: the local variable that holds the record it was given; None: the step had no single record.
    """

    number: int
    record: str | None


@dataclass(slots=True)
class Source:
    """The body of a function, line by line.

    Attributes:
        places: for the lines that run a step, by line number, where that is.
        bindings: the objects that the function has as fast locals, by name.
        depth: the indentation of the next line.
    """

    places: dict[int, Place] = field(default_factory=dict)
    bindings: dict[str, Any] = field(default_factory=dict)
    depth: int = 1
    _lines: list[str] = field(default_factory=list)

    def line(self, text: str, place: Place | None = None) -> None:
        """Append one line at the present depth."""
        self._lines.append(" " * self.depth + text)
        if place is not None:
            self.places[len(self._lines) + 1] = place  # the header will be line 1

    def open(self, header: str, place: Place | None = None) -> None:
        """Append a line that ends in a colon; what follows is inside of it."""
        self.line(header, place)
        self.depth += 1

    def bind(self, name: str, value: Any) -> str:
        """Give the function an object as a fast local of this name, which is returned."""
        self.bindings[name] = value
        return name

    def function(self, name: str, *parameters: str) -> str:
        """The whole text; the bindings are parameters with defaults, the cheapest variables that Python has."""
        every = [*parameters, *(f"{bound}={bound}" for bound in self.bindings)]
        return "\n".join([f"def {name}({', '.join(every)}):", *self._lines, ""])
