"""Votes behind a label, and where their values were stated."""

from __future__ import annotations

from collections.abc import Sequence

from weakbox.labelling.grading import Grading
from weakbox.labelling.placing import Centre, Size
from weakbox.records.case import Lesion
from weakbox.records.extraction import Item
from weakbox.records.label import Evidence, Vote


def votes_of(
    lesion: Lesion, gradings: Sequence[Grading], chosen: Grading | None, centre: Centre | None, size: Size | None
) -> tuple[Vote, ...]:
    """Who says what of class, centre, size and side, and how well each link fits; the class that counts is marked."""
    votes = [
        Vote(
            voter=each.source,
            aspect="class",
            value=each.isup if each.isup is not None else ("cancer" if each.is_cancer else "not_significant"),
            confidence=each.confidence,
            reason="worst of its source" if each is chosen else "another tissue of the lesion",
            evidence=(Evidence(record_id=each.record_id, field="isup_grade"),),
        )
        for each in gradings
    ]
    if centre is not None:
        evidence = (Evidence(record_id=centre.evidence_id, field="position"),)
        votes.append(
            Vote(voter=centre.source, aspect="centre", value=centre.point, confidence=1.0, reason="best source", evidence=evidence)
        )
    if size is not None:
        sized = (Evidence(record_id=size.evidence_id, field="size"),) if size.evidence_id else ()
        votes.append(Vote(voter=size.source, aspect="size", value=size.extents, confidence=1.0, reason="best source", evidence=sized))
    for item in (lesion.finding, *lesion.specimens):
        if item is not None and (stated := item.values.get("side")) is not None:
            spans = tuple(Evidence(record_id=item.report_id, field="side", span=span) for span in stated.evidence)
            votes.append(
                Vote(voter=stated.source, aspect="side", value=stated.value, confidence=stated.confidence, reason="stated", evidence=spans)
            )
    votes += [
        Vote(voter=link.kind.value, aspect="link", value=round(link.score, 3), confidence=round(link.score, 3), reason=link.reason)
        for link in lesion.links
    ]
    return tuple(votes)


def evidence_of(lesion: Lesion) -> tuple[Evidence, ...]:
    """Words of the reports behind a label, and its rows."""
    items: list[Item] = [item for item in (lesion.finding, *lesion.specimens) if item is not None]
    words = [
        Evidence(record_id=item.report_id, field=name, span=span)
        for item in items
        for name, stated in sorted(item.values.items())
        for span in stated.evidence
    ]
    rows = [lesion.target.target_id] if lesion.target else []
    rows += [core.core_id for core in lesion.cores]
    return (*words, *(Evidence(record_id=row, field="row") for row in rows))
