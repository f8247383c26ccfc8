"""How to install an extra: the line that messages print. It differs between a clone and the published package."""

from __future__ import annotations

import shlex
from pathlib import Path

DISTRIBUTION = "quartet-video"
"""Its name on PyPI, where `quartet` is another project."""

_CLONE = Path(__file__).parents[1]


def install_command(*extras: str) -> str:
    """The shell command that adds `extras` to what runs here: `pip install 'quartet-video[ray]'`."""
    what = f"[{','.join(extras)}]"
    if (_CLONE / "pyproject.toml").is_file():
        return f"pip install --editable {shlex.quote(f'{_CLONE}{what}')}"
    return f"pip install {shlex.quote(DISTRIBUTION + what)}"
