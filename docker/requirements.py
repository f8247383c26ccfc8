"""Print what the package and some of its extras depend on, a line each: `requirements.py pyproject.toml cpu`.

The dependencies are a layer of the image of their own, which a change of the code leaves as it is.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path


def requirements(pyproject: Path, extras: list[str]) -> list[str]:
    """The requirements of the package and of `extras`. Raises KeyError if there is no such extra."""
    project = tomllib.loads(pyproject.read_text())["project"]
    optional = project["optional-dependencies"]
    # An extra includes another one as a requirement of the package itself: `quartet-video[engine]`.
    itself = re.compile(re.escape(project["name"]) + r"\[([\w,-]+)\]")

    def listed(extra: str) -> Iterator[str]:
        for requirement in optional[extra]:
            if included := itself.fullmatch(requirement):
                for name in included[1].split(","):
                    yield from listed(name)
            else:
                yield requirement

    found = [*project["dependencies"], *(requirement for extra in extras for requirement in listed(extra))]
    return list(dict.fromkeys(found))


if __name__ == "__main__":
    print(*requirements(Path(sys.argv[1]), sys.argv[2:]), sep="\n")
