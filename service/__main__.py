"""`python -m service`: the command line, for a process that has Python and not the console script."""

from service.cli import main

main()
