"""`python -m cxlib.cli` is `cx`."""

import sys

from cxlib.cli import main

if not sys.flags.safe_path:
    del sys.path[0]  # the working directory: what lies about in it, as a voila.py, is no library of ours; as with `cx`

main()
