"""`python -m skelbridge.plot sheets FOLDER` draws every format on the body; `... places PNG` namesakes on one body;
`... schedule PNG` learning rates; `... networks RESULTS.json PNG` what a training measured of its networks."""

import argparse
from pathlib import Path

from skelbridge.io.json_files import load_json
from skelbridge.plot.evaluation import plot_networks
from skelbridge.plot.ink import save_small
from skelbridge.plot.places import MAIN_FORMATS, MAIN_WORDS, plot_namesakes
from skelbridge.plot.schedule import plot_schedule
from skelbridge.plot.sheets import save_sheets
from skelbridge.skeletons import skeleton


def main() -> None:
    """Write the pictures that the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m skelbridge.plot")
    commands = parser.add_subparsers(required=True, dest="command")
    sheets = commands.add_parser("sheets", help="a sheet for each format")
    sheets.add_argument("folder", type=Path, help="ID.png is written into it for each format")
    sheets.add_argument("formats", nargs="*", help="ids, aliases or cards (none: all)")
    places = commands.add_parser("places", help="joints of the same name on one body")
    places.add_argument("png", type=Path, help="picture to write")
    places.add_argument("--words", nargs="+", default=MAIN_WORDS, help="joints, without their side")
    places.add_argument("--formats", nargs="+", default=MAIN_FORMATS, help="ids, aliases or cards")
    schedule = commands.add_parser("schedule", help="the learning rates of the paper")
    schedule.add_argument("png", type=Path, help="picture to write")
    networks = commands.add_parser("networks", help="what was measured of networks, over seeds")
    networks.add_argument("results", type=Path, help="JSON: by network and measure, a number for each seed")
    networks.add_argument("png", type=Path, help="picture to write")
    networks.add_argument("--measures", nargs="+", help="those to draw (none: all)")
    options = parser.parse_args()
    if options.command == "sheets":
        save_sheets(options.folder, [skeleton(name) for name in options.formats] or None)
    elif options.command == "schedule":
        save_small(plot_schedule(), options.png, dpi=110)
    elif options.command == "networks":
        measures = options.measures and {name: name for name in options.measures}
        save_small(plot_networks(load_json(options.results), measures), options.png, dpi=110)
    else:
        save_small(plot_namesakes(options.words, options.formats), options.png, dpi=110)


if __name__ == "__main__":
    main()
