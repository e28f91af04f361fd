"""What came of an ingestion, read from the store itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from skelbridge.datasets.checks import Check, CheckError, judged
from skelbridge.store.index import read_index
from skelbridge.store.opening import open_store
from skelbridge.store.writer import merged_reports


@dataclass(frozen=True)
class IngestReport:
    """What was kept of a dataset, what was dropped, repaired and cleaned out and why, and how it fared in the checks.

    kept: samples of each split, before cleaning. forced: failed checks in spite of which the dataset is kept.
    seconds: of work, added over processes.
    """

    store: Path
    dataset: str
    skeleton: str
    parts: int
    kept: dict[str, int]
    dropped: dict[str, int]
    repaired: dict[str, int]
    cleaned: dict[str, int]
    remarks: tuple[str, ...]
    seconds: float
    checks: tuple[Check, ...]
    forced: tuple[str, ...]

    @classmethod
    def of(cls, path: str | Path) -> IngestReport:
        """The report of an ingested store; FileFormatError where it is none."""
        index = read_index(Path(path)).index
        told = merged_reports(job.report for job in index.jobs)
        parts = sum(len(job.parts) for job in index.jobs)
        checks = judged(told.get("checks", {}))
        if parts and not any(told.get("kept", {}).values()):
            checks.append(_none_kept(told.get("dropped", {})))
        return cls(
            store=Path(path),
            dataset=index.dataset,
            skeleton=index.skeleton,
            parts=parts,
            kept=told.get("kept", {}),
            dropped=told.get("dropped", {}),
            repaired=told.get("repaired", {}),
            cleaned=open_store(path).reasons(),
            remarks=tuple(told.get("remarks", ())),
            seconds=told.get("seconds", 0.0),
            checks=tuple(checks),
            forced=tuple(told.get("forced", ())),
        )

    def __str__(self) -> str:
        kept = ", ".join(f"{split} {count:,}" for split, count in self.kept.items()) or "none"
        lines = [f"{self.store}: {self.dataset} as {self.skeleton}, {sum(self.kept.values()):,} samples ({kept}) from "
                 f"{self.parts} parts in {self.seconds:,.0f} s of work"]  # fmt: skip
        for title, counts in (("dropped", self.dropped), ("repaired", self.repaired), ("cleaned out", self.cleaned)):
            lines += [f"  {title}: {count:,}  {reason}" for reason, count in sorted(counts.items())]
        lines += [f"  note: {remark}" for remark in self.remarks]
        for check in self.checks:
            forced = " (kept by force)" if not check.passed and check.name in self.forced else ""
            lines.append(f"  check {check}{forced}")
            lines += [f"    worst: {place}" for place in check.worst if not check.passed]
        return "\n".join(lines)


def _none_kept(dropped: dict[str, int]) -> Check:
    reasons = ", ".join(f"{reason} ({count:,})" for reason, count in sorted(dropped.items(), key=lambda item: -item[1]))
    return Check("samples", False, f"none was kept; dropped: {reasons or 'none'}",
                 "The folder may hold a part of the dataset only, or the pictures' sizes may be wrong.")  # fmt: skip


def require_passed(path: str | Path) -> None:
    """CheckError where a store's dataset failed its self-checks and was not kept by force."""
    report = IngestReport.of(path)
    if failed := [check for check in report.checks if not check.passed and check.name not in report.forced]:
        raise CheckError(
            f"{path}: {report.dataset} failed its self-checks", got="; ".join(f"{c.name}: {c.found}" for c in failed),
            mend="Ingest it anew, or once more with --force to keep it as it is.",
        )  # fmt: skip
