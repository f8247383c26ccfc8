"""Print what a variant of the package depends on, a line each: `requirements.py pyproject.toml cpu`.

The dependencies are a layer of the image of their own, which a change of the code leaves as it is.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path


def requirements(pyproject: Path, variant: str) -> list[str]:
    """The requirements of the package and of its extra `variant`. Raises KeyError if there is no such extra."""
    project = tomllib.loads(pyproject.read_text())["project"]
    return [*project["dependencies"], *project["optional-dependencies"][variant]]


if __name__ == "__main__":
    print(*requirements(Path(sys.argv[1]), sys.argv[2]), sep="\n")
