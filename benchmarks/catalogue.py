"""Write the catalogue of formats: a sheet for each, the figure of namesakes, and their page.

    python -m benchmarks.catalogue

writes `docs/images/formats/ID.png`, `docs/images/places.png` and the list in `docs/formats.md`.
"""

from __future__ import annotations

import numpy as np

from benchmarks.report import ROOT, write_block
from skelbridge.plot import plot_namesakes, save_sheets, save_small
from skelbridge.skeletons import Skeleton, formats

#: Places are called badly known from this uncertainty on, mm.
BADLY = 25.0


def main() -> None:
    """Draw every format and write the page."""
    cards = formats()
    save_sheets(ROOT / "docs" / "images" / "formats", cards)
    save_small(plot_namesakes(), ROOT / "docs" / "images" / "places.png", dpi=110)
    lines = [
        "",
        "| format | | joints | usual | uncertainty of places, median (largest) mm | aliases |",
        "|---|---|---|---|---|---|",
    ]
    lines += [_row(card) for card in cards]
    for card in cards:
        lines += ["", *_section(card)]
    write_block(ROOT / "docs" / "formats.md", "formats", [*lines, ""])


def _row(card: Skeleton) -> str:
    """One line of the table."""
    uncertain = card.placement_uncertainty
    span = f"{np.median(uncertain):g} ({uncertain.max():g})"
    count = f"{len(card)}{', one hand' if card.one_hand else ''}"
    cells = [f"[{card.id}](#{card.id})", card.title, count, f"{card.dims}D", span, ", ".join(card.aliases)]
    return f"| {' | '.join(cells)} |"


def _section(card: Skeleton) -> list[str]:
    """A format's heading, what is known of it, and its sheet."""
    lines = [f"## {card.id}", "", f"{card.title}. {' '.join(card.notes.split())}".strip()]
    badly = _known_badly(card)
    if badly:
        lines += ["", f"Known badly: {badly}."]
    calibrated = sorted({joint.calibrated for joint in card.joints if joint.calibrated})
    if calibrated:
        lines += ["", f"Places learned from {'; '.join(calibrated)}."]
    return [*lines, "", f"![{card.id}](images/formats/{card.id}.png)"]


def _known_badly(card: Skeleton) -> str:
    """Joints whose places are uncertain, the worst first, a pair once: "pelvis 35 mm, spine1 and neck 25 mm"."""
    named: dict[float, list[str]] = {}
    for joint in card.joints:
        if joint.placement_uncertainty >= BADLY:
            word = joint.name.removeprefix("left_").removeprefix("right_")
            words = named.setdefault(joint.placement_uncertainty, [])
            if word not in words:
                words.append(word)
    return "; ".join(f"{', '.join(words)} ({mm:g} mm)" for mm, words in sorted(named.items(), reverse=True))


if __name__ == "__main__":
    main()
