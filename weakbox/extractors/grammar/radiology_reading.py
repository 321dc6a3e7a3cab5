"""The lesions of one section while it is read, and whether a clause fits one of them."""

from __future__ import annotations

from dataclasses import dataclass, field

from weakbox.extractors.grammar.radiology_drafts import Candidate, Draft
from weakbox.extractors.grammar.radiology_facts import Facts
from weakbox.extractors.grammar.radiology_tables import TableHead
from weakbox.extractors.grammar.radiology_units import Clause, Role


@dataclass(slots=True, kw_only=True)
class SectionReading:
    """The lesions of one section in order, and the categories that speak of the exam."""

    role: Role
    section: int
    drafts: list[Draft] = field(default_factory=list)
    overall: list[Candidate] = field(default_factory=list)
    overall_likert: list[Candidate] = field(default_factory=list)
    zones: list[Candidate] = field(default_factory=list)
    """Scores of a whole zone ("PZ: PI-RADS 2")."""
    is_list_of_lesions: bool = False
    """Whether a line "Lesions:" stands above."""
    current: Draft | None = None
    together: list[Draft] = field(default_factory=list)
    """Lesions that the clause before named together ("Lesions 1 and 2:"): what follows without a name is of them all."""
    head: TableHead | None = None
    columns: list[Draft] = field(default_factory=list)


def new_draft(clause: Clause) -> Draft:
    return Draft(role=clause.role, section=clause.section, start=clause.start, sentence=clause.sentence)


def labelled(reading: SectionReading, label: str) -> Draft | None:
    return next((draft for draft in reading.drafts if draft.label is not None and str(draft.label.value).upper() == label.upper()), None)


def open_draft(reading: SectionReading, clause: Clause) -> Draft:
    draft = new_draft(clause)
    reading.drafts.append(draft)
    reading.current = draft
    return draft


def conflicts(current: Draft, facts: Facts) -> bool:
    for name in ("side", "zone", "levels"):
        known, new = current.get(name), facts.values.get(name)
        if known is None or new is None:
            continue
        if name == "levels" and isinstance(known, tuple) and isinstance(new.value, tuple):
            if not set(known) & set(new.value):
                return True
        elif known != new.value and not (name == "zone" and {str(known), str(new.value)} == {"TZ", "AFS"}):
            return True
    return False


def place_matches(draft: Draft, facts: Facts) -> bool:
    return draft.has_place and not conflicts(draft, facts)
