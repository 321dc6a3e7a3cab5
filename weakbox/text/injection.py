"""Finds text in a report that speaks to a machine ("ignore previous instructions ..."): it is data, never obeyed, and not read."""

from __future__ import annotations

import re

_INJECTION = re.compile(
    r"\b(?:ignore|disregard|forget|override)\b[^.\n]{0,40}\b(?:instructions?|previous|above|prompt|rules)\b"
    r"|\byou are (?:a|an|now)\b|\bsystem prompt\b|\bas an ai\b|\b(?:assistant|system|user)\s*:\s*\w"
    r"|\b(?:output|respond with|answer|return|print)\b[^.\n]{0,25}\b(?:pi-?rads|bi-?rads|gleason|json|benign)\b"
)


_GATE = (
    "ignore",
    "disregard",
    "forget",
    "override",
    "you are",
    "prompt",
    "as an ai",
    "assistant",
    "system:",
    "user:",
    "output",
    "respond",
    "answer",
    "return",
    "print",
)


def injection_spans(lower: str) -> list[tuple[int, int]]:
    """Stretches of lower-case text from the start of such a sentence to its end; neighbouring ones are one."""
    if not any(word in lower for word in _GATE):
        return []
    spans: list[tuple[int, int]] = []
    for match in _INJECTION.finditer(lower):
        start = max(lower.rfind("\n", 0, match.start()) + 1, lower.rfind(". ", 0, match.start()) + 1)
        stops = [stop for stop in (lower.find("\n", match.end()), lower.find(". ", match.end())) if stop >= 0]
        end = min(stops) if stops else len(lower)
        if spans and start <= spans[-1][1] + 2:
            spans[-1] = (spans[-1][0], max(end, spans[-1][1]))
        else:
            spans.append((start, end))
    return spans
