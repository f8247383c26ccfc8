"""The command line: `quartet`, and `python -m service` for a process that has Python and not the console script."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command that the arguments name. Ctrl-C while modules are still imported is no bug to be traced."""
    try:
        from service.cli import main as command

        command()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
