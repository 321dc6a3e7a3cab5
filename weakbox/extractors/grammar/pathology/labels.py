"""Finds the specimens' own labels (``A.``, ``1)``, ``Specimen II``, ``C-F:``) and decides which scheme of a report names specimens."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from weakbox.extractors.grammar.pathology.facts import lower_case
from weakbox.extractors.grammar.pathology.ordinals import JOIN, LABEL_SIGNS, NUMBER_WORDS, ROMANS, ordinals_of
from weakbox.extractors.grammar.pathology.passages import Passage, Role

_NOUN = (
    r"(?:(?:prostat\w+\s+)?(?:needle\s+)?(?:specimens?|parts?|containers?|jars?|pots?|vials?|samples?|bottles?|biops(?:y|ies)|bx|cores?"
    r"|sites?|sections?|cassettes?|blocks?|slide\s+groups?|slides?|zones?|tubes?))"
)
_ID = rf"(?:[A-Z]{{1}}\d{{0,2}}|\d{{1,2}}[A-Za-z]?|[IVX]{{1,6}}|[ivx]{{1,5}}|(?i:{'|'.join(NUMBER_WORDS)})\b|[a-z])"
_AND = r"[ \t]*(?:&|\b(?i:and)\b|\+)[ \t]*"
"""Joins labels that each have their own sign: "1. & 2."."""
_PATTERN = (
    rf"(?P<lead>[ \t]*(?:[-*•>#]\s*)*)(?P<open>[(\[])?(?P<noun>(?i:{_NOUN})(?:\s+|(?=[#:(\[])|(?<=[a-z])(?=\d))(?:(?i:no\.?|number"
    rf"|nr\.?|id)\s*|[#:]\s*)*)?(?P<open2>[(\[])?"
    rf"(?P<ids>{_ID}JOINED)(?![A-Za-z'’])(?P<close>[)\]]?\s*(?:[.:)]+(?!\d)|[-=](?=\s)|(?=\s{{2,}}\S)|"
    rf"(?=[ \t]*\t|[ \t]*\|)|[)\]](?=\s)|,(?=\s)|(?=\s\()|(?=\s*\n)|(?=\s)))"
)
_LABEL = re.compile(_PATTERN.replace("JOINED", rf"(?:(?:[)\]]?{JOIN}|\.{_AND})[(\[]?{_ID}(?![A-Za-z'’]))*"))
_SINGLE = re.compile(_PATTERN.replace("JOINED", ""))
_COUNTED = re.compile(
    r"\s*(?:(?:needle|tissue|positive)\s+)?(?:cores?|biops\w+|fragments?|pieces?|samples?|cylinders?|strips?|ga?uge|mm|cm|of)\b",
    re.IGNORECASE,
)
"""After a number that counts: "biopsies (12 cores)" has no label."""
_DATE = re.compile(
    r"\d{1,2}(?:st|nd|rd|th)?[ .\-/]{0,2}(?:of )?(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?"
    r"|aug(?:ust)?|sep(?:t|tember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\b"
    r"|\d{1,2}(?P<mark>[./-])\d{1,2}(?P=mark)(?:\d{4}|\d{2})\b",
    re.IGNORECASE,
)
_STARTS = re.compile(r"(?<![^\n|])[ \t]*(?=\S)")
_SHORT_ID = r"(?:[A-Za-z]|\d{1,2}|[IVX]{1,5}|[ivx]{1,5})"
_CONTAINER = r"specimen|part|core|sample|container|jar|pot|vial|bottle|site|cassette|slide|tube"
_SITE_START = (
    r"left|right|lt|rt|prostat\w*|targets?|roi|lesion|mri?|mpmri|index|fusion|midline|bilateral|base|mid|apex|anterior|posterior"
    r"|systematic|random|additional|extra|lymph|pelvic|bladder|seminal|(?-i:[LR](?:[LM]?[BMA])?)"
)
_INLINE_STARTS = re.compile(
    rf"(?=[ \t\n]+(?:[^a-z\s]|[a-z](?![a-z])|[ivx]{{2,5}}(?![a-z])|(?i:{_CONTAINER})))(?:"
    r"(?<=[.;,:)])[ \t]+(?=[(\[]?(?:[A-Z]|\d{1,2}|[IVX]{1,5})[A-Za-z0-9\-,& ]{0,12}?[.):\]])|(?<=\.)[ \t]+(?=(?:[A-Z]"
    r"|[IVX]{1,4})[ \t]+(?:(?i:left"
    r"|right|prostate|target|roi|(?:lymph|pelvic)|(?:one|two|three|four|five|six|seven|eight|nine|ten|\d{1,2})[ \t]+(?:cores?|biops"
    r"|fragment|piece))|[LR]\b))|(?<=[,)])[ \t]+(?=(?i:core|specimen|sample)[ \t]*#?\d{1,2}[ \t]*[:)])|(?<=\S)[ \t]+(?="
    r"(?:[A-Z]|\d{1,2})[.)][ \t]+(?:(?i:left|right|lt|rt|prostate|targets?|roi|lesion|mri?|mpmri|index|fusion|midline|bilateral|base"
    r"|mid|apex"
    r"|anterior|posterior|additional|extra|lymph|bladder|seminal)\b|[LR]\b|\d{1,2}[ \t]+(?i:cores?)\b))|"
    r"(?<=\S)[ \t]+(?=[(\[](?:[A-Z]|\d{1,2}|[IVX]{1,5})[)\]][ \t]*(?:(?i:left|right|lt|rt|prostate|targets?|roi|lesion|mri|base|mid|apex)\b"
    r"|[LR]\b))|"
    rf"(?<=\S)[ \t]+(?=[(\[]{_SHORT_ID}[)\]][ \t]+(?:\d{{1,2}}|one|two|three|four|five|six|seven|eight|nine|ten)[ \t]+(?i:cores?|biops"
    r"|fragment|piece|strip|needle|tissue))|"
    r"(?<=\w)[ \t]+(?=(?i:part"
    r"|specimen)[ \t]+[A-Za-z][ \t]+(?i:is|shows|contains)\b)|(?<=[.;])[ \t\n]+(?=(?i:specimen|part|core|sample|container|jar|pot"
    r"|vial|bottle|tube|cassette|slide)s?\s+#?\s*"
    r"(?:[A-Z]\b|\d|(?i:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)\b))"
    rf"|(?<=\S)[ \t]{{2,}}(?=[#(\[]?{_SHORT_ID}(?:[.:)\]]|[ \t]?[-=–])[ \t])"
    r"|(?<=[\w.,;:)%])[ \t]+(?=#\d{1,2}\b)"
    rf"|(?<=[.;,:])[ \t]+(?={_SHORT_ID}(?:[.:)\]]|[ \t]?[-=–])[ \t])"
    rf"|(?<=\S)[ \t]+(?=[(\[]?{_SHORT_ID}(?:[.:)\]]|[ \t]?[-=–])[ \t]+(?i:{_SITE_START})\b)"
    rf"|(?<=\S)[ \t]{{2,}}(?=(?i:{_CONTAINER})[ \t]*#?[ \t]*{_SHORT_ID}\b))"
)
"""Blanks before a label; what may follow them is asked first, as most blanks stand between words."""
_COLUMN_STARTS = re.compile(
    rf"(?<=\S)[ \t]{{2,}}(?=[(\[]?{_SHORT_ID}(?:[.:)\]]|[ \t]?[-=–])[ \t]+(?i:{_SITE_START})\b[^\n.;:]{{0,40}}(?:\n|\Z|[ \t]{{2,}}))"
)
"""A list in two columns: a label after blanks begins a line of its own."""
_PROSE_STARTS = re.compile(
    r"(?:(?:(?<=[.;])[ \t\n]+|^[ \t]*)(?:(?:the\s+)?(?:\w+\s+)?(?:sections?|cores?|biops(?:y|ies)|slides?|tissue|fragments?|levels?)\s+"
    r"(?:taken\s+|received\s+|submitted\s+)?(?:from|of|in)\s+(?:the\s+)?|in\s+|from\s+)|\band\s+(?:the\s+"
    r"|those\s+)?(?:\w+\s+)?(?:from|in)\s+)"
    rf"(?=(?:{_CONTAINER}|tube)s?\s+#?(?-i:{_SHORT_ID})\b)|(?<=\w)[ \t]+(?=[(\[](?-i:[A-Z]|[IVX]{{1,5}})[)\]][ \t]+(?:is|are|was|were"
    rf"|shows?|contains?"
    r"|holds?|comprises?|reveals?|consists?)\b)",
    re.IGNORECASE | re.MULTILINE,
)
"""In sentences: "Sections from container II, left apex, show ...", "The right nodes (II) are ..."."""
_MAY_START_IN_PROSE = re.compile(rf"[mfn]\s+(?:the\s+)?(?:{_CONTAINER}|tube)s?[\s#]|[(\[][a-z]{{1,5}}[)\]][ \t]+[a-z]")
"""Over lower-case text: "from", "of" or "in" a container, or a letter in brackets before a verb."""
_BARE_BEFORE_SITE = re.compile(
    r"[ \t]+(?:left|right|lt|rt|L|R|prostate|target|roi|radical|bladder|pelvic|seminal|lymph|apex|base|midline|mri|(?:one|two|three"
    r"|four|five|six|seven|eight|nine|ten|\d{1,2})\s+(?:cores?|biops\w+|fragments?|pieces?|cylinders?))\b",
    re.IGNORECASE,
)
_SITE_WORDS = re.compile(
    r"\b(?:left|right|lt|rt|base|mid|middle|apex|apical|basal|prostat\w*|biops\w+|cores?|nodes?|seminal|vesicle|margin|zone|roi"
    r"|target\w*|lesion|turp|chips|midline|lateral|anterior|bladder|urethra\w*|lobe|vas)\b|\b(?-i:[LR][LM]?[BMA]?)\b",
    re.IGNORECASE,
)
_PLACE_WORDS = re.compile(
    r"\b(?:left|right|lt|rt|base|mid|apex|apical|basal|nodes?|vesicles?|margin|zone|roi|targets?|lesion|midline|bladder|lobe)\b|\b"
    r"(?-i:[LR][LM]?[BMA]?)\b",
    re.IGNORECASE,
)
_DIAGNOSTIC = re.compile(
    r"(?=[abcghilmnpt\d])(?:carcinoma|benign|gleason|malignan|tumou?r|prostatitis|\bPIN\b|atypi|cancer|insufficient|\d\s?\+\s?\d"
    r"|grade group|negative|inflammation|hyperplasia|\bASAP\b|HGPIN|no tissue|not received|lost)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """A specimen's label at ``start:end``; ``body`` is where its text begins; ``ordinals`` are the specimens it names, in its scheme."""

    written: str
    scheme: str
    """``upper``, ``lower``, ``number``, ``roman`` or ``mixed`` (``1A``, ``A2``)."""
    ordinals: tuple[int, ...]
    start: int
    end: int
    body: int
    has_noun: bool
    is_core: bool = False
    """Named as one core, which may be one of several within a specimen."""
    is_inline: bool = False
    lead: tuple[int, int] | None = None
    """Words before it in its sentence that speak of it: "The two cores in pot 1"."""


def labels_of(text: str, passage: Passage) -> list[Label]:
    """Every possible label of a passage in every scheme, in order; which scheme holds is decided later."""
    labels: list[Label] = []
    starts = {match.end(): False for match in _STARTS.finditer(text, passage.start, passage.end)}
    starts |= {passage.start: False}
    for match in _INLINE_STARTS.finditer(text, passage.start, passage.end):
        starts.setdefault(match.end(), True)
    starts |= {match.end(): False for match in _COLUMN_STARTS.finditer(text, passage.start, passage.end)}
    leads = _prose_starts(text, passage)
    for start in leads:
        starts.setdefault(start, True)
    for start in sorted(starts):
        found = _label_at(text, start, passage.end, is_inline=starts[start])
        labels += [replace(label, lead=leads[start]) for label in found] if start in leads else found
    bare = _bare_list(text, passage) if passage.role is Role.SPECIMEN_LIST and not labels else _bare_lines(text, passage)
    taken = {(label.start, label.scheme) for label in labels}
    return sorted([*labels, *(label for label in bare if (label.start, label.scheme) not in taken)], key=lambda label: label.start)


def _prose_starts(text: str, passage: Passage) -> dict[int, tuple[int, int]]:
    """Where labels in sentences stand, with the words that lead to them."""
    if not _MAY_START_IN_PROSE.search(lower_case(text), passage.start, passage.end):
        return {}
    return {match.end(): match.span() for match in _PROSE_STARTS.finditer(text, passage.start, passage.end)}


_BARE_LINE = re.compile(
    rf"^[ \t]*(?P<id>{_SHORT_ID}(?:[ \t]?[-–][ \t]?{_SHORT_ID}\b)?)[ \t]+(?=(?:{_SITE_START})\b)", re.MULTILINE | re.IGNORECASE
)
_FEWEST_BARE = 3


def _bare_lines(text: str, passage: Passage) -> list[Label]:
    """Lines without marks ("1 Right base   Benign", "2-4 left: no tumour"); only where they count from the first without a gap."""
    lines = list(_BARE_LINE.finditer(text, passage.start, passage.end))
    if len(lines) < _FEWEST_BARE:
        return []
    found = [label for line in lines for label in label_of(line["id"], line.span("id"))]
    for scheme in ("number", "upper", "roman", "lower"):
        labels = [replace(label, has_noun=False) for label in found if label.scheme == scheme]
        counted = [ordinal for label in labels for ordinal in label.ordinals]
        if len(labels) >= _FEWEST_BARE and counted == list(range(1, len(counted) + 1)):
            return labels
    return []


_BARE_ITEM = re.compile(
    r"(?<!\S)(?P<id>\d{1,2}|[A-Z])[ \t]+(?=(?:prostate[ ,]+)?(?:left|right|lt|rt|midline|ROI|target|MRI|anterior|posterior|base|apex"
    r"|mid)\b)",
    re.IGNORECASE,
)


def _bare_list(text: str, passage: Passage) -> list[Label]:
    """A list without marks: "1 RIGHT BASE 2 RIGHT MID"; only where it counts from the first without a gap."""
    items = list(_BARE_ITEM.finditer(text, passage.start, passage.end))
    found = [label for item in items for label in label_of(item["id"], item.span("id")) if label.scheme in ("upper", "number")]
    rises = [label.ordinals[0] for label in found] == list(range(1, len(found) + 1))
    return [replace(label, has_noun=False) for label in found] if rises and len(found) > 1 else []


def _label_at(text: str, start: int, end: int, *, is_inline: bool) -> list[Label]:
    match = _LABEL.match(text, start, end)
    if match is not None and (not ordinals_of(match["ids"]) or _SIDE_AT_END.search(match["ids"])):
        match = _SINGLE.match(text, start, end)
    if match is None or not _is_closed(match) or _is_other(match) or _DATE.match(text, match.start("ids"), end):
        return []
    return [
        Label(
            written=" ".join(LABEL_SIGNS.sub("", match["ids"]).split()),
            scheme=scheme,
            ordinals=ordinals,
            start=match.start("ids"),
            end=match.end("ids"),
            body=match.end(),
            has_noun=match["noun"] is not None,
            is_core=match["noun"] is not None and match["noun"].lower().startswith("core"),
            is_inline=is_inline,
        )
        for scheme, ordinals in ordinals_of(match["ids"]).items()
    ]


_SIDE_AT_END = re.compile(r"[A-Z\d][ \t]+[-–][ \t]+[LR]$")
""" "A - L base": the letter after the dash is the side of A."""
_GRADE_SUM = re.compile(r"[1-5][ \t]*\+[ \t]*[1-5]")
_LEVEL_FOLLOWS = re.compile(
    r"[ \t]+(?:lateral|medial|lat|med|base|basal|mid\w*|apex|apical|anterior|posterior|ant|post|lobe|side"
    r"|pz|tz|peripheral|transition\w*)\b",
    re.IGNORECASE,
)


def _is_other(match: re.Match[str]) -> bool:
    """Whether it is a Gleason sum at the start of a line, or the letter of a side ("L base")."""
    is_side = match["ids"] in ("L", "R") and _LEVEL_FOLLOWS.match(match.string, match.end("ids")) is not None
    return is_side or (match["noun"] is None and _GRADE_SUM.fullmatch(match["ids"]) is not None)


_WITHIN = re.compile(
    rf"[(\[][ \t]*(?P<noun>(?i:cores?|specimens?|containers?|pots?|parts?|samples?|jars?|vials?|bottles?|biops(?:y"
    rf"|ies)))[ \t]*#?[ \t]*(?P<ids>{_ID}"
    rf"(?:{JOIN}{_ID}(?![A-Za-z'’]))*)[ \t]*[)\]]"
)


_TRAILING = re.compile(
    rf"[ \t,;(]+(?:(?i:in|at|from|involving)\s+)(?P<noun>(?i:cores?|specimens?|containers?|pots?|parts?|samples?|jars?|vials?"
    rf"|bottles?|sites?))[ \t]*#?[ \t]*"
    rf"(?P<ids>{_ID}(?:{JOIN}{_ID}(?![A-Za-z'’]))*)[ \t).;]*$",
    re.MULTILINE,
)


_LETTER_WITHIN = re.compile(rf"[(\[](?P<ids>(?:[A-Z]|[IVX]{{1,5}})(?:{JOIN}(?:[A-Z]|[IVX]{{1,5}}))*)[)\]](?=[ \t]*:)")
"""Only letters: a number in brackets counts cores."""


_OTHER_NAMED = re.compile(
    r"\b(?:cores?|specimens?|containers?|pots?|parts?|samples?|jars?|vials?|bottles?)[ \t]*#?[ \t]*(?:\d{1,2}|(?-i:[A-Z]"
    r"|[IVX]{1,5}))\b(?!\s*(?:cores?|of|/))",
    re.IGNORECASE,
)


def label_at_the_end(text: str, start: int, end: int) -> Label | None:
    """The label with which a line ends ("Adenocarcinoma, 3+3=6, in specimens 2 and 5."); None where another label leads it."""
    match = _TRAILING.search(text, start, end)
    sentence = start if match is None else max(text.rfind(". ", start, match.start()), start)
    if (
        match is None
        or not _DIAGNOSTIC.search(text, sentence, match.start())
        or _OTHER_NAMED.search(text, start, match.start())
        or label_leads(text, start, end)
    ):
        return None
    found = label_of(match["ids"], match.span("ids"))
    return replace(found[0], body=start, is_core=match["noun"].lower().startswith("core")) if found else None


def label_within(text: str, start: int, end: int) -> Label | None:
    """The label that words for a site give in brackets: "Left base (specimen A)", "Right anterior (cores 1-5)"."""
    match = _WITHIN.search(text, start, min(end + 1, len(text))) or _LETTER_WITHIN.search(text, start, min(end + 3, len(text)))
    return next(iter(label_of(match["ids"], match.span("ids"))), None) if match else None


def label_of(written: str, at: tuple[int, int]) -> list[Label]:
    """Labels in every scheme in which ``written``, which stands at ``at``, may be read; what follows it is its body."""
    return [
        Label(written=" ".join(written.split()), scheme=scheme, ordinals=ordinals, start=at[0], end=at[1], body=at[1], has_noun=True)
        for scheme, ordinals in ordinals_of(written).items()
    ]


def label_leads(text: str, start: int, end: int) -> bool:
    """Whether a specimen's label stands at ``start``."""
    return bool(_label_at(text, start, end, is_inline=False))


def _is_closed(match: re.Match[str]) -> bool:
    """A bare letter needs a sign after it; a noun before it, or parentheses around it, are sign enough."""
    close = match["close"].strip()
    is_word = match["ids"].lower() in NUMBER_WORDS
    if match["noun"]:
        return _COUNTED.match(match.string, match.end("ids")) is None and not _is_count(match)
    if is_word:
        return False
    if close == ",":
        return len(match["ids"]) <= 2 and _BARE_BEFORE_SITE.match(match.string, match.end("close")) is not None
    if "#" in match["lead"] and match["ids"].isdigit():
        return True
    if match["open"] or match["open2"]:
        return close.startswith((")", "]"))
    if (
        not close
        and (len(match["ids"]) == 1 or match["ids"] in ROMANS)
        and match["ids"].isupper()
        and _BARE_BEFORE_SITE.match(match.string, match.end("ids"))
    ):
        return True
    following = match.string[match.end() : match.end() + 2]
    return bool(close and close != ",") or (
        not close and (following in ("  ", " \t", " |") or following[:1] in ("\t", "|") or following == " (")
    )


_PLURAL_FIELD = re.compile(r"(?i:s|ies)\s*[:=]\s*$")
_LINE_ENDS = re.compile(r"[ \t.;]*(?:\n|$)")


def _is_count(match: re.Match[str]) -> bool:
    """Whether a field counts: "Cores : 4" with nothing after it on its line."""
    return (
        match["ids"].isdigit()
        and _PLURAL_FIELD.search(match["noun"] + match.string[match.end("noun") : match.start("ids")]) is not None
        and _LINE_ENDS.match(match.string, match.end("ids")) is not None
    )


_SCHEMES = ("upper", "number", "roman", "lower", "mixed")
_ROLES_THAT_NAME = ((Role.SPECIMEN_LIST, Role.DIAGNOSIS, Role.SYNOPTIC, Role.AMENDMENT), (Role.MICROSCOPY, Role.FREE), (Role.GROSS,))
"""Where labels name specimens, best first: later roles count only where the earlier ones hold no label."""


def choose_scheme(text: str, passages: Sequence[Passage], labels: dict[int, list[Label]]) -> str | None:
    """The scheme that names this report's specimens; None where the specimens carry no labels.

    ``labels``: the possible labels by index of passage.
    """
    for roles in _ROLES_THAT_NAME:
        scores = {scheme: max(_role_score(text, passages, labels, scheme, role) for role in roles) for scheme in _SCHEMES}
        best = max(_SCHEMES, key=lambda scheme: scores[scheme])
        if scores[best] > 0:
            return _of_containers(labels, best, scores)
    return None


def _of_containers(labels: dict[int, list[Label]], best: str, scores: dict[str, float]) -> str:
    """Cores that are counted within each specimen ("Specimen 1: Core 1a ... Core 1b") do not name the specimens."""
    found = [label for passage in labels.values() for label in passage]
    if best != "mixed" or not all(label.is_core for label in found if label.scheme == best):
        return best
    named = [scheme for scheme in _SCHEMES if scheme != best and scores[scheme] > 0]
    with_noun = [s for s in named if sum(label.has_noun and not label.is_core for label in found if label.scheme == s) > 1]
    return max(with_noun, key=lambda scheme: scores[scheme], default=best)


def _role_score(text: str, passages: Sequence[Passage], labels: dict[int, list[Label]], scheme: str, role: Role) -> float:
    total = 0.0
    for index, passage in enumerate(passages):
        if passage.role is role:
            chosen = sequence([label for label in labels[index] if label.scheme == scheme], scheme)
            total += 0.0 if is_numbered_list(text, passage, chosen) else _score(text, passage, chosen)
    return total


_MOST_RUNS = 4
"""A list, a gross description, a microscopy and a diagnosis may follow one another under one heading."""


def runs(labels: Sequence[Label], scheme: str) -> list[list[Label]]:
    """The sequences of a passage: a list of specimens may be followed by what each of them shows."""
    found: list[list[Label]] = []
    rest = list(labels)
    while rest and len(found) < _MOST_RUNS:
        chosen = sequence(rest, scheme)
        if not chosen:
            break
        again = _begins_again(chosen)
        if again:
            chosen, rest = chosen[:again], rest[rest.index(chosen[again]) :]
            found.append(chosen)
            continue
        found.append(chosen)
        first, last = chosen[0], chosen[-1]
        rest = [label for label in rest if label.start > last.start and (label.has_noun or not label.is_inline)]
        if len(chosen) < 2 or not rest or rest[0].ordinals != first.ordinals:
            break
        named = {label.ordinals for label in sequence(rest, scheme)}
        if not rest[0].has_noun and named != {label.ordinals for label in chosen}:
            break
    return found


def _begins_again(labels: Sequence[Label]) -> int:
    """Where a sequence that did not begin with the first specimen counts from it again; 0 where it does not."""
    if labels[0].ordinals[0] == 1:
        return 0
    return next((i for i, label in enumerate(labels) if i and label.ordinals[0] == 1 and not label.is_inline), 0)


def sequence(labels: Sequence[Label], scheme: str) -> list[Label]:
    """The labels that follow one another: those that rise or fill a gap, inline ones only as the next in turn.

    A group that its own members follow ("Biopsies A-F: A. ...") is a heading and left out.
    """
    chosen: list[Label] = []
    seen: set[int] = set()
    last = 0
    for label in labels:
        if chosen and _heads(chosen[-1], label):
            seen.difference_update(chosen.pop().ordinals)
            last = max(seen, default=0)
        fills_gap = any(_skips(other, label.ordinals[0]) for other in chosen)
        if seen & set(label.ordinals) or (label.ordinals[0] < last and label.is_inline and not label.has_noun and not fills_gap):
            continue
        is_next = fills_gap or label.ordinals[0] == last + 1 or (scheme == "mixed" and _is_next_mixed(last, label.ordinals[0]))
        if label.is_inline and not is_next and not label.has_noun:
            continue
        if not label.has_noun and not is_next and label.ordinals[0] - last > LARGEST_GAP:
            continue
        chosen.append(label)
        seen.update(label.ordinals)
        last = max(last, *label.ordinals)
    return chosen


def _skips(group: Label, ordinal: int) -> bool:
    """Whether a group leaves out a specimen between its own: "1, 3" leaves 2 to a label of its own."""
    return group.ordinals[0] < ordinal < group.ordinals[-1] and ordinal not in group.ordinals


def _heads(group: Label, label: Label) -> bool:
    return len(group.ordinals) > 1 and label.ordinals[0] == group.ordinals[0] and set(label.ordinals) < set(group.ordinals)


LARGEST_GAP = 6
"""Labels without a noun that jump further are not the same list ("L." after "C.")."""


def _is_next_mixed(last: int, ordinal: int) -> bool:
    return last == 0 or ordinal - last == 1 or ordinal // 100 - last // 100 in (0, 1)


def _score(text: str, passage: Passage, labels: Sequence[Label]) -> float:
    """How much a sequence looks like specimens: those with a site count fully, those with only a diagnosis a little."""
    total = 0.0
    for label, following in zip(labels, [*labels[1:], None], strict=False):
        stop = following.start if following else passage.end
        heading = text[label.body : min(stop, label.body + 60)].strip().split("\n")[0]
        has_site = _SITE_WORDS.search(heading.split(":")[0] if ":" in heading[:60] else heading) is not None
        has_diagnosis = _DIAGNOSTIC.search(text, label.body, min(stop, label.body + 120)) is not None
        total += (1.0 if has_site else 0.3 if has_diagnosis else 0.0) * len(label.ordinals) + (
            0.2 if label.has_noun and not label.is_core else 0.0
        )
    return total if labels and _starts_well(text, passage, labels) else 0.0


def _starts_well(text: str, passage: Passage, labels: Sequence[Label]) -> bool:
    first = labels[0]
    if first.is_inline and not first.has_noun and text[passage.start : first.start].strip():
        return len(labels) > 1 and total_sites(text, labels, passage.end) > len(labels) / 2
    stands_first = not text[passage.start : first.start].strip() and first.scheme in ("upper", "roman")
    return stands_first or first.ordinals[0] == 1 or len(labels) > 1 or first.has_noun or len(first.ordinals) > 1 or first.scheme == "mixed"


def total_sites(text: str, labels: Sequence[Label], end: int) -> int:
    """How many of the labels are followed at once by words for a site."""
    return sum(_SITE_WORDS.search(text, label.body, min(end, label.body + 40)) is not None for label in labels)


def is_numbered_list(text: str, passage: Passage, labels: Sequence[Label]) -> bool:
    """Whether numbers count the statements of one specimen ("1. Adenocarcinoma 2. HGPIN") rather than specimens."""
    if len(labels) < 2 or labels[0].scheme not in ("number", "lower") or any(label.has_noun for label in labels):
        return False
    stops = [*(label.start for label in labels[1:]), passage.end]
    bodies = [text[label.body : stop] for label, stop in zip(labels, stops, strict=True)]
    with_place = sum(_PLACE_WORDS.search(body.split("\n")[0][:70]) is not None for body in bodies)
    with_diagnosis = sum(_DIAGNOSTIC.search(body) is not None for body in bodies)
    is_headed = _SITE_WORDS.search(text, passage.start, labels[0].start) is not None
    return with_place <= len(bodies) // 4 and (is_headed or with_diagnosis < len(bodies))
