"""The flow of a run: what went into each stage, what came out, what was dropped and why; and whether it adds up.

The figures come from the store's counts and ledger alone. The diagram follows STARD 2015: the main line from the sources
to the exported set, with exclusions and their reasons to the right (Bossuyt et al., BMJ 2015;351:h5527, figure 1).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from weakbox.records.case import Outcome
from weakbox.records.record import record
from weakbox.runtime.store import READING, STAGES, Store, write_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TITLES = {
    READING: "Read from the sources",
    "preprocessing": "Prepared",
    "extraction": "Reports read for what they state",
    "matching": "Matched",
    "postprocessing": "Labelled",
    "export": "Exported",
}
"""What has happened to the items in a box of the diagram."""

SOURCES_TITLE = "Found in the sources"
REASONS_SHOWN = 8
"""Reasons in one box of the diagram; the tables hold all."""


@record
class FlowStep:
    """One kind of item at one stage. ``entered`` is None for a kind that the stage makes (cases, lesions, labels)."""

    stage: str
    kind: str
    entered: int | None
    left: int
    dropped: Mapping[str, int]
    """Reason -> how many, most frequent first."""

    @property
    def dropped_total(self) -> int:
        """How many were dropped, over all reasons."""
        return sum(self.dropped.values())

    @property
    def adds_up(self) -> bool:
        """Whether in = out + dropped. A kind that is made here cannot be checked, unless it is dropped uncounted."""
        return self.dropped_total == 0 if self.entered is None else self.entered == self.left + self.dropped_total


@record
class Flow:
    """The steps of a run, in the order of the stages and of the kinds' names."""

    steps: tuple[FlowStep, ...]

    @property
    def stages(self) -> tuple[str, ...]:
        """Stages that have run, in order."""
        return tuple(stage for stage in STAGES if any(step.stage == stage for step in self.steps))

    def at(self, stage: str) -> tuple[FlowStep, ...]:
        """The steps of one stage."""
        return tuple(step for step in self.steps if step.stage == stage)

    def problems(self) -> tuple[str, ...]:
        """Sentences about what does not add up: within a stage, and from one stage to the next. Empty where all is well."""
        return (*_problems_within(self), *_problems_between(self))


def read_flow(store: Store) -> Flow:
    """The flow of the stages that have run; kinds of which there are none are left out."""
    return Flow(steps=tuple(step for stage in STAGES for step in _steps(store, stage)))


def _steps(store: Store, stage: str) -> Iterator[FlowStep]:
    counts = store.counts(stage)
    dropped: dict[str, Counter[str]] = {}
    for row in store.ledger((stage,)):
        if row.outcome is Outcome.DROPPED:
            dropped.setdefault(row.kind, Counter())[row.reason] += 1
    for kind in sorted({name.partition(".")[2] for name in counts} | dropped.keys()):
        reasons = sorted(dropped.get(kind, Counter()).items(), key=lambda item: (-item[1], item[0]))
        entered, left = counts.get(f"entered.{kind}"), counts.get(f"left.{kind}", 0)
        if entered or left or reasons:
            yield FlowStep(stage=stage, kind=kind, entered=entered, left=left, dropped=dict(reasons))


def _problems_within(flow: Flow) -> Iterator[str]:
    for step in flow.steps:
        if not step.adds_up:
            entered = "an unknown number of" if step.entered is None else step.entered
            yield f"{step.stage}: {entered} {plural(step.kind)} went in, {step.left} came out, {step.dropped_total} were dropped"


def _problems_between(flow: Flow) -> Iterator[str]:
    last: dict[str, FlowStep] = {}
    for step in flow.steps:
        before = last.get(step.kind)
        if before is not None and step.entered is not None and step.entered != before.left:
            yield f"{before.left} {plural(step.kind)} came out of {before.stage}, but {step.entered} went into {step.stage}"
        last[step.kind] = step


def plural(kind: str) -> str:
    """The kind in words, for any number.

    >>> plural("study"), plural("case"), plural("series")
    ('studies', 'cases', 'series')
    """
    words = kind.replace("_", " ")
    if words.endswith("s"):
        return words
    return f"{words[:-1]}ies" if words.endswith("y") else f"{words}s"


def counted(count: int, kind: str) -> str:
    """A number of items in words.

    >>> counted(1, "study"), counted(2, "study")
    ('1 study', '2 studies')
    """
    return f"{count} {kind.replace('_', ' ') if count == 1 else plural(kind)}"


def in_words(reason: str) -> str:
    """A reason's code in words.

    >>> in_words("no_date")
    'no date'
    """
    return reason.replace("_", " ")


def as_markdown(flow: Flow) -> str:
    """The flow as a Markdown table, and whether it adds up."""
    rows = ["| stage | kind | in | out | dropped | reasons |", "| --- | --- | ---: | ---: | ---: | --- |"]
    for step in flow.steps:
        entered = "made here" if step.entered is None else str(step.entered)
        reasons = ", ".join(f"{in_words(reason)} {count}" for reason, count in step.dropped.items())
        rows.append(f"| {step.stage} | {plural(step.kind)} | {entered} | {step.left} | {step.dropped_total} | {reasons} |")
    problems = flow.problems()
    verdict = (
        ["**The flow does not add up:**", *(f"- {problem}" for problem in problems)] if problems else ["In = out + dropped at every stage."]
    )
    return "\n".join([*rows, "", *verdict, ""])


def as_mermaid(flow: Flow) -> str:
    """The flow as a Mermaid flowchart, exclusions on dotted arrows."""
    lines = ["flowchart TD"]
    for number, (title, content) in enumerate(_main_boxes(flow)):
        lines.append(f'  main{number}["<b>{title}</b><br/>{"<br/>".join(content)}"]')
    for number, content in enumerate(_exclusions(flow)):
        lines.append(f"  main{number} --> main{number + 1}")
        if content:
            lines.append(f'  main{number} -.-> out{number}["<b>Not used</b><br/>{"<br/>".join(content)}"]')
    return "\n".join(lines) + "\n"


def write_flow(flow: Flow, folder: Path) -> tuple[Path, ...]:
    """Write the flow as table, Mermaid text and diagram (SVG and PNG); returns the files."""
    write_text(folder / "flow.md", as_markdown(flow) + "\n```mermaid\n" + as_mermaid(flow) + "```\n")
    pictures = (folder / "flow.svg", folder / "flow.png")
    draw_flow(flow, pictures)
    return folder / "flow.md", *pictures


def _main_boxes(flow: Flow) -> list[tuple[str, list[str]]]:
    found = [counted(step.entered, step.kind) for step in flow.at(READING) if step.entered]
    boxes = [(SOURCES_TITLE, found)]
    for stage in flow.stages:
        boxes.append(
            (
                TITLES[stage],
                [counted(step.left, step.kind) for step in flow.at(stage) if step.left or step.entered != step.dropped_total],
            )
        )
    return [(title, content or ["nothing"]) for title, content in boxes]


def _exclusions(flow: Flow) -> list[list[str]]:
    return [_excluded_at(flow, stage) for stage in flow.stages]


def _excluded_at(flow: Flow, stage: str) -> list[str]:
    reasons = [(count, step.kind, reason) for step in flow.at(stage) for reason, count in step.dropped.items()]
    reasons.sort(key=lambda item: (-item[0], item[1], item[2]))
    lines = [f"{counted(count, kind)}: {in_words(reason)}" for count, kind, reason in reasons[:REASONS_SHOWN]]
    rest = sum(count for count, _, _ in reasons[REASONS_SHOWN:])
    return [*lines, f"{rest} for other reasons"] if rest else lines


LINE_IN = 0.22
PADDING_IN = 0.16
GAP_IN = 0.45
WIDTH_IN = 11.0
MAIN_IN = (0.3, 4.7)
"""Left edge and width of the boxes of the main line."""
SIDE_IN = (5.9, 4.8)


def draw_flow(flow: Flow, paths: tuple[Path, ...]) -> None:
    """Draw the flow as a diagram and write it to each path (PNG or SVG); the same flow gives the same bytes."""
    from weakbox.audit.drawing import new_figure, save_figure

    boxes, exclusions = _main_boxes(flow), _exclusions(flow)
    heights = [_box_height(content) for _, content in boxes]
    gaps = [max(GAP_IN, _box_height(content) + 2 * PADDING_IN) if content else GAP_IN for content in exclusions]
    total = sum(heights) + sum(gaps) + 2 * PADDING_IN
    figure = new_figure(WIDTH_IN, total)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set(xlim=(0, WIDTH_IN), ylim=(total, 0))
    axes.set_axis_off()
    top = PADDING_IN
    for number, (title, content) in enumerate(boxes):
        _draw_box(axes, MAIN_IN, top, title, content, is_main=True)
        top += heights[number]
        if number < len(gaps):
            _draw_gap(axes, top, gaps[number], exclusions[number])
            top += gaps[number]
    for path in paths:
        save_figure(figure, path)


def _box_height(content: list[str]) -> float:
    return LINE_IN * (len(content) + 1) + 2 * PADDING_IN


def _draw_gap(axes: Axes, top: float, height: float, content: list[str]) -> None:
    middle = MAIN_IN[0] + MAIN_IN[1] / 2
    arrow = {"arrowstyle": "-|>", "color": "#1f2937", "lw": 1.1, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", xy=(middle, top + height), xytext=(middle, top), arrowprops=arrow)
    if content:
        axes.annotate("", xy=(SIDE_IN[0], top + height / 2), xytext=(middle, top + height / 2), arrowprops=arrow)
        _draw_box(axes, SIDE_IN, top + (height - _box_height(content)) / 2, "Not used", content, is_main=False)


def _draw_box(axes: Axes, place: tuple[float, float], top: float, title: str, content: list[str], *, is_main: bool) -> None:
    from matplotlib.patches import FancyBboxPatch

    from weakbox.audit.drawing import ACCENT, INK, MUTED, PAPER

    left, width = place
    corner = (left + 0.06, top + 0.06)
    edge = ACCENT if is_main else MUTED
    size = (width - 0.12, _box_height(content) - 0.12)
    axes.add_patch(
        FancyBboxPatch(corner, *size, boxstyle="round,pad=0.06,rounding_size=0.08", facecolor=PAPER, edgecolor=edge, linewidth=1.2)
    )
    text_top = top + PADDING_IN + LINE_IN / 2
    axes.text(left + 0.2, text_top, title, color=INK, fontsize=10.5, fontweight="bold", va="center")
    for number, line in enumerate(content, 1):
        axes.text(left + 0.2, text_top + number * LINE_IN, line, color=INK, fontsize=10, va="center")
