"""`python -m cxlib.cli` is `cx`."""

from cxlib.cli import main

main()
