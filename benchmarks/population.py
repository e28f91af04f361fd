"""How people-like the virtual people are: python -m benchmarks.population [--motions DIR ...] [--bodies N] [--write]

Measures of adults beside the published percentiles, segments between joint centres beside the literature, children
beside the WHO's medians, and how evenly the clips of motion capture are used. --write puts the result into
docs/population.md and draws docs/images/population.png.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.fidelity import folder_from_environment
from benchmarks.report import ROOT, printed, write_block
from skelbridge.body.measures import GORDON, HUSTON, MEASURES, PHEASANT, Measure, measured
from skelbridge.body.model import PHENOTYPES, VirtualBody
from skelbridge.body.motions import PoseClip, distances, read_clips, without_repeats
from skelbridge.body.random_poses import random_poses
from skelbridge.body.sample import clip_shares
from skelbridge.body.shapes import AGES, sample_shapes, years_of
from skelbridge.errors import need

SEXES = ("women", "men")
#: Segments between joint centres as shares of stature: bones, Winter (after Drillis and Contini), de Leva 1996 for
#: women and men. De Leva's thigh of women starts at another hip point and is left out.
SEGMENTS: dict[str, tuple[str, str, float, float | None, float]] = {
    "upper arm": ("upperarm01.L", "lowerarm01.L", 0.186, 0.1586, 0.1618),
    "forearm": ("lowerarm01.L", "wrist.L", 0.146, 0.1523, 0.1545),
    "thigh": ("upperleg01.L", "lowerleg01.L", 0.245, None, 0.2425),
    "shank": ("lowerleg01.L", "foot.L", 0.246, 0.2492, 0.2493),
}
#: Median stature, mm, of girls and boys: WHO Child Growth Standards 2006 (3 years), WHO Reference 2007 (others).
GROWTH = {3: (951, 961), 6: (1151, 1160), 10: (1386, 1378), 14: (1598, 1632), 16: (1625, 1729)}
QUANTILES = (5, 50, 95)


class People:
    """A sample of shapes with what is told of each: years, sex, measures (N, `MEASURES`) and their kind of age."""

    def __init__(self, body: VirtualBody, count: int, seed: int = 0):
        shapes = sample_shapes(body, count, np.random.default_rng(seed), faces=False)
        parts = [shapes[start : start + 256] for start in range(0, count, 256)]
        self.measures = np.concatenate([measured(part) for part in parts])
        self.heads = np.concatenate([body.heads(np.eye(3), part) for part in parts])
        self.years, self.female = years_of(shapes), shapes.phenotypes[:, PHENOTYPES.index("gender")] > 0.5
        self.bones, self.stature = body.bones, self.measures[:, 0]

    def aged(self, kind: str, sex: str | None = None) -> np.ndarray:
        """Which of them are children, adults or elders, and of one sex."""
        low, high = AGES[kind]
        of_sex = True if sex is None else self.female == (sex == "women")
        return (self.years > low - 0.5) & (self.years < high + 0.5) & of_sex


def published(measure: Measure, sex: str) -> tuple[float, float, float]:
    return measure.women if sex == "women" else measure.men


def lengths(people: People) -> Iterator[str]:
    yield "| measure | sex | 5 / 50 / 95 % | ours | ours / published | share of stature, scatter | set | source |"
    yield "|---|---|---|---|---|---|---|---|"
    for column, measure in enumerate(MEASURES):
        for sex in SEXES:
            adults = people.aged("adult", sex)
            values, told = people.measures[adults, column], published(measure, sex)
            ours, share = np.percentile(values, QUANTILES), values / people.stature[adults]
            yield (
                f"| {measure.name} | {sex} | {' / '.join(str(x) for x in told)} "
                f"| {' / '.join(f'{x:.0f}' for x in ours)} "
                f"| {' / '.join(f'{x:.2f}' for x in ours / told)} "
                f"| {share.mean():.3f}, {100 * share.std() / share.mean():.1f} % "
                f"| {'yes' if measure.control else 'no'} | {measure.source.split(',')[0]} |"
            )


def segments(people: People) -> Iterator[str]:
    yield "| segment between joint centres / stature | sex | ours | scatter | Winter | de Leva |"
    yield "|---|---|---|---|---|---|"
    for name, (start, end, winter, *leva) in SEGMENTS.items():
        vectors = people.heads[:, people.bones.index(end)] - people.heads[:, people.bones.index(start)]
        share = np.linalg.norm(vectors, axis=-1) / people.stature
        for sex, literature in zip(SEXES, leva, strict=True):
            of = share[people.aged("adult", sex)]
            told = "–" if literature is None else f"{literature:.3f}"
            yield (f"| {name} | {sex} | {of.mean():.3f} | {100 * of.std() / of.mean():.1f} % | {winter:.3f} | {told} |")


def ages(people: People) -> Iterator[str]:
    shares = ", ".join(f"{kind} {people.aged(kind).mean():.1%}" for kind in AGES)
    yield f"Shares: {shares}; women {people.female.mean():.1%}.  "
    for sex in SEXES:
        old, young = (people.stature[people.aged(kind, sex)] for kind in ("elder", "adult"))
        yield f"Elders, {sex}: mean stature {old.mean():.0f} mm, {young.mean() - old.mean():.0f} mm below adults'.  "
    yield ""
    yield "| age | sex | stature, WHO median | ours (line through two years) | ours / WHO | sitting height / stature |"
    yield "|---|---|---|---|---|---|"
    for years, medians in GROWTH.items():
        for sex, told in zip(SEXES, medians, strict=True):
            near = people.aged("child", sex) & (np.abs(people.years - years) < 1)
            # A year either way: growth is about even over two years.
            slope = np.polyfit(people.years[near] - years, people.stature[near], 1)
            sitting = (people.measures[near, 1] / people.stature[near]).mean()
            yield (
                f"| {years} | {'girls' if sex == 'women' else 'boys'} | {told} | {slope[1]:.0f} "
                f"| {slope[1] / told:.2f} | {sitting:.3f} |"
            )


def motions(body: VirtualBody, clips: list[PoseClip]) -> Iterator[str]:
    kept = without_repeats(clips)
    before, after = ([len(clip.poses) for clip in which] for which in (clips, kept))
    shares = clip_shares(kept)
    yield (
        f"{len(clips)} clips, {sum(before)} key poses, of which {sum(after)} are no repeats. The most used clip gives "
        f"{shares.max():.1%} of the recorded poses, the least used {shares.min():.1%} (even: {1 / len(clips):.1%}); "
        f"by the number of key poses it would be {max(after) / sum(after):.1%}.  "
    )
    rng = np.random.default_rng(0)
    for name, which in (("with repeats", clips), ("without", kept)):
        chosen = rng.choice(len(which), 1000, p=clip_shares(which))
        poses = np.stack([which[clip].poses[rng.integers(len(which[clip].poses))] for clip in chosen])
        yield f"{spread(poses)} of 1000 recorded poses as drawn, {name}.  "
    yield f"{spread(random_poses(body, 1000, rng))} of 1000 random poses."
    yield ""
    yield "| clip | key poses | without repeats | share |"
    yield "|---|---|---|---|"
    for clip, first, last, share in zip(clips, before, after, shares, strict=True):
        yield f"| {clip.name} | {first} | {last} | {share:.1%} |"


def spread(poses: np.ndarray) -> str:
    """How far two poses are apart at the joint that differs most, and how many of them are no repeats."""
    apart = distances(poses)
    kept: list[int] = []
    for pose in range(len(poses)):
        if not kept or apart[pose, kept].min() >= 100:
            kept.append(pose)
    middle = np.median(apart[np.triu_indices(len(apart), 1)])
    return f"Two poses are {middle:.0f} mm apart (median), and {len(kept)} are at least 100 mm from each other,"


def draw(people: People, path: Path) -> None:
    """Distributions of the measures with the published percentiles as ticks below."""
    plt = need("matplotlib.pyplot", "plot")
    colours = {"women": "#D55E00", "men": "#0072B2"}
    figure, panels = plt.subplots(3, 4, figsize=(11, 7), layout="constrained")
    shown = [(column, measure) for column, measure in enumerate(MEASURES) if "(" not in measure.name]
    for panel, (column, measure) in zip(panels.flat, shown, strict=False):
        for level, sex in enumerate(SEXES):
            values = people.measures[people.aged("adult", sex), column]
            panel.hist(values, bins=40, density=True, color=colours[sex], alpha=0.35, label=sex)
            style = {"color": colours[sex], "linestyle": "", "transform": panel.get_xaxis_transform()}
            height = np.full(3, 0.86 + 0.08 * level)
            panel.plot(published(measure, sex), height, marker="|", markersize=10, markeredgewidth=1.8, **style)
            panel.plot(np.percentile(values, QUANTILES), height, marker="o", markersize=3.5, **style)
        panel.set_ylim(0, 1.25 * panel.get_ylim()[1])
        panel.set_title(measure.name, loc="left", fontsize=9, fontweight="bold")
        panel.set_yticks([])
        panel.tick_params(labelsize=8)
        panel.spines[["left", "right", "top"]].set_visible(False)
    legend = panels.flat[len(shown)]
    legend.axis("off")
    marks = [plt.Line2D([], [], marker=m, color="#4A5260", linestyle="", markersize=6) for m in ("|", "o")]
    bars = [plt.Rectangle((0, 0), 1, 1, color=colours[sex], alpha=0.35) for sex in SEXES]
    names = ["women", "men", "published 5, 50, 95 %", "ours 5, 50, 95 %"]
    legend.legend([*bars, *marks], names, loc="center", frameon=False, fontsize=9, title="adults, mm")
    figure.savefig(path, dpi=110)


def report(people: People, body: VirtualBody, folders: list[Path]) -> Iterator[str]:
    count = {sex: int(people.aged("adult", sex).sum()) for sex in SEXES}
    yield f"## Adults\n\n{count['women']:,} women and {count['men']:,} men of {len(people.years):,} bodies; mm.\n"
    yield from lengths(people)
    yield f"\nSources: {HUSTON}; {PHEASANT}; {GORDON}. Taken on the body as:\n"
    yield from (f"- {m.name}: {m.how}" for m in MEASURES if "(" not in m.name)
    yield ""
    yield from segments(people)
    yield "\n## Children and elders\n"
    yield from ages(people)
    yield "\n## Motions\n"
    if folders:
        yield from motions(body, read_clips(folders))
    else:
        yield "Left out: no motion capture was given (--motions)."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given = folder_from_environment()
    mocap = [given / "cmu_bvh", given / "bvh" / "pybvh" / "cmu_12_01_walk.bvh"] if given else []
    parser.add_argument("--motions", type=Path, nargs="*", default=[path for path in mocap if path.exists()])
    parser.add_argument("--bodies", type=int, default=20_000)
    parser.add_argument("--write", action="store_true", help="write docs/population.md and its picture")
    options = parser.parse_args()
    body = VirtualBody()
    people = People(body, options.bodies)
    lines = printed(report(people, body, options.motions))
    if options.write:
        write_block(ROOT / "docs" / "population.md", "population", lines)
        draw(people, ROOT / "docs" / "images" / "population.png")


if __name__ == "__main__":
    main()
