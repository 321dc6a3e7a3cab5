"""Rewrites of pathology reports into other house styles: labels, line widths, headings, order of sections."""

from __future__ import annotations

import re
from collections.abc import Callable

Rewrite = Callable[[str], str]


def replaced(pattern: str, by: str | Callable[[re.Match[str]], str]) -> Rewrite:
    compiled = re.compile(pattern)
    return lambda text: compiled.sub(by, text)


def in_unit(unit: str, factor: float, other: str) -> Rewrite:
    chain = re.compile(rf"(?<![\d.,/])((?:\d+(?:\.\d+)?\s?x\s?)*\d+(?:\.\d+)?) ?{unit}\b(?!\s*[x²2])")

    def convert(match: re.Match[str]) -> str:
        return re.sub(r"\d+(?:\.\d+)?", lambda number: f"{float(number[0]) * factor:.6g}", match[1]) + f" {other}"

    return lambda text: chain.sub(convert, text)


def relabelled(style: str) -> Rewrite:
    mark = re.compile(r"(?m)^([ \t]*)([A-H]|\d)[.):](?=[ \t]+[\"A-Za-z])")

    def rewrite(text: str) -> str:
        written = list(dict.fromkeys(match[2] for match in mark.finditer(text)))
        counted = [chr(ord("A") + number) for number in range(len(written))]
        is_list = len(written) > 1 and written in (counted, [str(number + 1) for number in range(len(written))])
        return mark.sub(lambda match: match[1] + style.replace("#", match[2]), text) if is_list and "PART " not in text else text

    return rewrite


def wrapped(width: int) -> Rewrite:
    def rewrite(text: str) -> str:
        return "\n".join(piece for line in text.split("\n") for piece in pieces(line))

    def pieces(line: str) -> list[str]:
        if len(line) <= width or re.search(r"\S\s{2,}|\t|\|", line.strip()):
            return [line]
        indent = line[: len(line) - len(line.lstrip())]
        found = [""]
        for word in line.split():
            if found[-1] and len(f"{indent}{found[-1]} {word}") > width:
                found.append(word)
            else:
                found[-1] = f"{found[-1]} {word}".strip()
        return [indent + words for words in found]

    return rewrite


HEADING = re.compile(
    r"(?mi)^(?P<words>(?:final )?(?:pathologic(?:al)? )?(?P<kind>diagnosis)|(?P<micro>microscop(?:ic description|y|ic))"
    r"|(?P<gross>gross(?: description)?|macroscopy)|(?P<clinical>clinical (?:history|information|details)))(?P<colon>:?)[ \t]*(?=\n)"
)


def headed(style: str) -> Rewrite:
    return lambda text: HEADING.sub(lambda match: style.replace("#", match["words"].upper()), text)


def renamed(diagnosis: str, micro: str, gross: str, clinical: str) -> Rewrite:
    def name(match: re.Match[str]) -> str:
        return (diagnosis if match["kind"] else micro if match["micro"] else gross if match["gross"] else clinical) + match["colon"]

    return lambda text: HEADING.sub(name, text)


def diagnosis_moved(text: str) -> str:
    """A diagnosis that stands first goes last, any other first."""
    marks = list(HEADING.finditer(text))
    of_diagnosis = [index for index, match in enumerate(marks) if match["kind"]]
    if len(of_diagnosis) != 1 or len(marks) < 2:
        return text
    index = of_diagnosis[0]
    start = marks[index].start()
    end = marks[index + 1].start() if index + 1 < len(marks) else len(text)
    block = text[start:end].rstrip("\n") + "\n\n"
    if index == 0:
        return (text[:start] + text[end:]).rstrip("\n") + "\n\n" + block
    first = marks[0].start()
    return text[:first] + block + text[first:start] + text[end:]
