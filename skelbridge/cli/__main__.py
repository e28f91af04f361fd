"""So that `python -m skelbridge.cli` is the command."""

import sys

from skelbridge.cli import main

sys.exit(main())
