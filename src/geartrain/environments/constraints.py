"""What pip is to know of packages that nobody maintains any more, and that break with later versions of what they need.

They say nothing of it themselves: pip would take the latest, and the package could not be imported.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from packaging.utils import canonicalize_name

from geartrain.environments.requirements import parsed

_KNOWN: Mapping[str, tuple[str, ...]] = {
    # 0.3.30, its last release, calls redis-py in a way that 5.0 ended, when it is imported.
    "redgrease": ("redis<5",),
}


def constraints_of(requirements: Iterable[str]) -> list[str]:
    """Constraints for pip that come with these requirements; none on a package that they name themselves.

    Args:
        requirements: normalised.
    """
    names = {canonicalize_name(found.name) for item in requirements if (found := parsed(item)) is not None}
    return [item for name in sorted(names) for item in _KNOWN.get(name, ()) if _name(item) not in names]


def _name(constraint: str) -> str | None:
    found = parsed(constraint)
    return None if found is None else canonicalize_name(found.name)
