"""`python -m skelbridge.train CONFIG`: the same as `skelbridge train CONFIG`, for torchrun and Slurm."""

import argparse
import sys

from skelbridge.errors import exit_code
from skelbridge.train.command import DESCRIPTION, add_arguments

parser = argparse.ArgumentParser(
    prog="python -m skelbridge.train", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
)
add_arguments(parser)
options = parser.parse_args()
sys.exit(exit_code(lambda: options.run(options)))
