"""The public data sets as a page for people: licence, how to get it, what lies where, what goes wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from weakbox.datasets_public.dataset import PublicDataset

INTRODUCTION = """# Public data sets

Written by `main.py datasets --page docs/datasets.md` from the files in `weakbox/datasets_public`; one file there is one set.
`main.py datasets` says which of them are on disk, and counts them. Weakbox gives none of these data and no right to them: read the
terms, cite the authors. Counts are those that the authors publish. Facts that could not be checked against the publisher say so.
"""


def render(datasets: Sequence[PublicDataset]) -> str:
    """The page, sets by organ and in the order in which they are worth trying."""
    ordered = sorted(datasets, key=lambda dataset: (dataset.card.organ, dataset.card.preference, dataset.card.name))
    lines = [INTRODUCTION, *_overview(ordered)]
    for dataset in ordered:
        lines += ["", f"## {dataset.card.title}", "", *_section(dataset)]
    return "\n".join(lines) + "\n"


def _overview(datasets: Sequence[PublicDataset]) -> Iterator[str]:
    yield "| set | organ | annotations | classes rest on | access | licence | commercial use | best for |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- |"
    for dataset in datasets:
        card = dataset.card
        commercial = {True: "yes", False: "no", None: "not stated"}[card.allows_commercial_use]
        cells = (
            card.title,
            card.organ,
            card.annotations,
            card.label_basis,
            card.access.value,
            card.licence,
            commercial,
            ", ".join(card.good_for),
        )
        yield "| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |"


def _section(dataset: PublicDataset) -> Iterator[str]:
    card = dataset.card
    yield f"`{card.name}`. {card.citation}{f' doi:{card.doi}' if card.doi else ''} <{card.homepage}>"
    yield ""
    yield f"Obtain: {card.how_to_obtain}"
    yield ""
    if card.published:
        yield "Published counts: " + ", ".join(f"{count:,} {name}" for name, count in sorted(card.published.items())) + "."
        yield ""
    for layout in dataset.layouts:
        yield f"Layout `{layout.name}` (known by {', '.join(layout.signature)}):"
        yield ""
        for part in layout.parts:
            yield f"- {part.name}{'' if part.is_required else ' (optional)'}: `{part.pattern}`"
        yield ""
    for source in dataset.collection:
        asked = ", ".join(f"{key} {value}" for key, value in sorted(source.request.items()))
        yield f"`collect` brings {source.brings} through `{source.client}` ({asked})."
        yield ""
    if card.traps:
        yield "Known traps, and what is done:"
        yield ""
        yield from (f"- {trap}" for trap in card.traps)
