"""So that `python -m skelbridge.cli` is the command."""

import sys

from skelbridge.cli import main

if __name__ == "__main__":
    sys.exit(main())
