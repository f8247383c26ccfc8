"""Print what the package and some of its extras depend on, a line each: `requirements.py pyproject.toml cpu`.

The dependencies are a layer of the image of their own, which a change of the code leaves as it is.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path


def requirements(pyproject: Path, extras: list[str]) -> list[str]:
    """The requirements of the package and of `extras`. Raises KeyError if there is no such extra."""
    project = tomllib.loads(pyproject.read_text())["project"]
    optional = project["optional-dependencies"]
    return [*project["dependencies"], *(requirement for extra in extras for requirement in optional[extra])]


if __name__ == "__main__":
    print(*requirements(Path(sys.argv[1]), sys.argv[2:]), sep="\n")
