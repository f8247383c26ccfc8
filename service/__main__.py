"""The command line: `quartet`, and `python -m service` for a process that has Python and not the console script."""

from __future__ import annotations

import os
import sys

from quartet.installation import install_command

_OURS = {"quartet", "model", "indexer", "service", "demo"}


def main() -> None:
    """Run the command that the arguments name. Ctrl-C while modules are still imported is not a bug to be traced."""
    # Python processes that are started from here import nothing of the working directory either (`python -P`).
    os.environ["PYTHONSAFEPATH"] = "1"
    try:
        from service.cli import main as command

        command()
    except KeyboardInterrupt:
        sys.exit(130)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if not missing or missing in _OURS:
            raise
        sys.exit(_explain(missing))


def _explain(missing: str) -> str:
    return (
        f"Error: the Python package {missing!r} is not installed. The command needs the extra `cpu` or "
        f"`gpu`.\nRun: {install_command('cpu')}\nOr: {install_command('gpu')}"
    )


if __name__ == "__main__":
    main()
