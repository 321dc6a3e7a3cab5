"""What several readers' votes are worth: Dawid-Skene without labels, a stacked logistic model with them.

Dawid and Skene, Applied Statistics 28 (1979): the truth of each question and the accuracy of each source are estimated
together. Here a source has one accuracy a group of fields (its confusion reduced to right or wrong) and a share of silence.
Two samples of one model share their errors: sources of one family divide one vote.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weakbox.records.record import record

Floats = NDArray[np.float64]

FIELD_GROUPS: Mapping[str, tuple[str, ...]] = {
    "score": ("pirads", "likert", "birads", "birads_left", "birads_right", "t2", "dwi", "dce"),
    "exam_number": ("psa_ng_ml", "psa_density", "prostate_volume_ml", "density"),
    "staging": ("epe", "svi", "lymph_nodes", "bone_metastases"),
    "side": ("side",),
    "place": ("zone", "levels", "positions", "sectors", "quadrant", "clock", "distance_from_nipple_mm"),
    "size": ("size_mm", "max_diameter_mm", "tumor_size_mm", "tumor_length_mm", "percent_involved"),
    "grade": ("gleason_primary", "gleason_secondary", "gleason_score", "isup_grade", "grade"),
    "count": ("cores_positive", "cores_total"),
    "diagnosis": ("diagnosis", "histology", "cancer_present", "malignant", "kind", "er", "pr", "her2"),
    "label": ("lesion_id", "finding_id", "specimen_id", "target"),
    "other": ("pirads_version", "procedure", "modality", "series_number", "image_number", "is_targeted"),
}
"""Fields that readers get right and wrong for the same reasons: too few errors are labelled to learn each field alone."""
_GROUP_OF = {name: group for group, names in FIELD_GROUPS.items() for name in names}

FAMILY_MARK = "#"
"""``language_model#2`` is a second sample of ``language_model``."""
DEFAULT_ACCURACY = 0.9
DEFAULT_ACCURACIES: Mapping[str, float] = {"rules": 0.97, "language_model": 0.93, "matcher": 0.9, "headers": 0.95}
"""Before any votes are seen; also the centre to which the estimates are drawn."""
PRIOR_STRENGTH = 20.0
"""So many imagined votes stand behind the accuracy before any are seen."""
_ACCURACY_LIMITS = (0.02, 0.999)
ALTERNATIVES = 6
"""Values that a wrong reading may take beside the right one, on average of the fields."""


def group_of(name: str) -> str:
    """The group of a field, by the last part of its name.

    >>> group_of("overall.isup_grade"), group_of("side"), group_of("something_new")
    ('grade', 'side', 'other')
    """
    return _GROUP_OF.get(name.rpartition(".")[2], "other")


def family_of(source: str) -> str:
    """The model that a source is a sample of."""
    return source.partition(FAMILY_MARK)[0]


@record
class Question:
    """One field of one item: each source's value as the number of its camp (0, 1 ...); sources that stay silent are missing."""

    group: str
    votes: Mapping[str, int]


@record
class SourceSkill:
    """How often a source is right where it speaks (0..1), how often it is silent (0..1), on how many questions."""

    accuracy: float
    silence: float = 0.0
    count: int = 0


@record
class LabelModel:
    """Skills by source and group; a group that is missing is answered by ``"*"``, all groups together."""

    skills: Mapping[str, Mapping[str, SourceSkill]] = field(default_factory=dict)

    def accuracy(self, source: str, group: str) -> float:
        """How often ``source`` is right in that group."""
        known = self.skills.get(family_of(source), {})
        skill = known.get(group) or known.get("*")
        return skill.accuracy if skill else DEFAULT_ACCURACIES.get(family_of(source), DEFAULT_ACCURACY)

    def posterior(self, question: Question) -> list[float]:
        """Probability of each camp, in order; what is missing to 1 is that none of them is right."""
        weights = shares(question.votes)
        camps = max(question.votes.values(), default=-1) + 1
        logs = [0.0] * (camps + 1)
        for source, camp in question.votes.items():
            accuracy = self.accuracy(source, question.group)
            right, wrong = math.log(accuracy), math.log((1.0 - accuracy) / ALTERNATIVES)
            for place in range(camps + 1):
                logs[place] += weights[source] * (right if place == camp else wrong)
        logs[camps] += math.log(max(ALTERNATIVES + 1 - camps, 1))
        top = max(logs)
        masses = [math.exp(value - top) for value in logs]
        return [mass / sum(masses) for mass in masses[:camps]]


def shares(votes: Mapping[str, int]) -> dict[str, float]:
    """The vote that each source has: a family has one vote, which its samples divide.

    >>> shares({"rules": 0, "language_model": 1, "language_model#2": 1})
    {'rules': 1.0, 'language_model': 0.5, 'language_model#2': 0.5}
    """
    families = [family_of(source) for source in votes]
    return {source: 1.0 / families.count(family_of(source)) for source in votes}


Tally = Mapping[tuple[str, tuple[tuple[str, int], ...]], int]
"""How often each pattern of votes occurs in each group: few patterns stand for many questions."""


def estimate_skills(questions: Iterable[Question], rounds: int = 25) -> LabelModel:
    """Accuracies and truths together, without any label (expectation maximisation, drawn to the default accuracies).

    Groups are estimated on their own around the accuracy over all groups.
    """
    tally = Counter((question.group, tuple(sorted(question.votes.items()))) for question in questions)
    pooled = _skills_of(tally, {}, rounds)
    found: dict[str, dict[str, SourceSkill]] = {source: {"*": skill} for source, skill in pooled.items()}
    for group in sorted({group for group, _ in tally}):
        members = {key: count for key, count in tally.items() if key[0] == group}
        for source, skill in _skills_of(members, pooled, rounds).items():
            found[source][group] = skill
    return LabelModel(skills=found)


def _skills_of(tally: Tally, centres: Mapping[str, SourceSkill], rounds: int) -> dict[str, SourceSkill]:
    families = sorted({family_of(source) for _, votes in tally for source, _ in votes})
    start = {name: centres[name].accuracy if name in centres else DEFAULT_ACCURACIES.get(name, DEFAULT_ACCURACY) for name in families}
    accuracy = dict(start)
    said = dict.fromkeys(families, 0.0)
    for _ in range(rounds):
        right, said = _expected(tally, accuracy)
        new = {name: (right[name] + PRIOR_STRENGTH * start[name]) / (said[name] + PRIOR_STRENGTH) for name in families}
        new = {name: min(max(value, _ACCURACY_LIMITS[0]), _ACCURACY_LIMITS[1]) for name, value in new.items()}
        is_settled = max((abs(new[name] - accuracy[name]) for name in families), default=0.0) < 1e-6
        accuracy = new
        if is_settled:
            break
    total = sum(tally.values())
    return {
        name: SourceSkill(accuracy=accuracy[name], silence=max(0.0, 1.0 - said[name] / total) if total else 0.0, count=total)
        for name in families
    }


def _expected(tally: Tally, accuracy: Mapping[str, float]) -> tuple[dict[str, float], dict[str, float]]:
    """By family: the votes that are expected to be right, and all votes."""
    model = LabelModel(skills={name: {"*": SourceSkill(accuracy=value)} for name, value in accuracy.items()})
    right, said = dict.fromkeys(accuracy, 0.0), dict.fromkeys(accuracy, 0.0)
    for (group, votes), count in tally.items():
        posterior, weights = model.posterior(Question(group=group, votes=dict(votes))), shares(dict(votes))
        for source, camp in votes:
            right[family_of(source)] += count * weights[source] * posterior[camp]
            said[family_of(source)] += count * weights[source]
    return right, said


# ------------------------------------------------------------------ with labels


@record
class Logistic:
    """Weights by the name of a feature; a feature without one counts nothing."""

    intercept: float
    weights: Mapping[str, float]

    def log_odds(self, features: Mapping[str, float]) -> float:
        """Of being right."""
        weights, total = self.weights, self.intercept
        for name, value in features.items():
            if name in weights:
                total += weights[name] * value
        return total


def fit_logistic(
    rows: Sequence[Mapping[str, float]], right: Sequence[float], weights: Sequence[float], ridge: float = 1.0, minimum: int = 5
) -> Logistic:
    """Ridge logistic regression by Newton's method; features in fewer than ``minimum`` rows are left out.

    The intercept is not drawn to zero, so that the mean of the fitted probabilities is the share that is right.

    Args:
        rows: features of each value.
        right: whether each value is right, or the chance of it (0..1).
        weights: how much each counts.
        ridge: how firmly the weights are held to zero.
        minimum: rows that a feature must occur in.

    Raises:
        ValueError: no rows, or rows of other lengths than labels and weights.
    """
    if not rows or not len(rows) == len(right) == len(weights):
        msg = f"a fit needs as many labels and weights as rows and at least one, got {len(rows)}, {len(right)}, {len(weights)}"
        raise ValueError(msg)
    names = _frequent(rows, minimum)
    matrix = _matrix(rows, names)
    penalty = np.full(len(names) + 1, ridge)
    penalty[0] = 1e-3
    solved = _newton(matrix, np.asarray(right, float), np.asarray(weights, float), penalty)
    return Logistic(intercept=float(solved[0]), weights={name: float(solved[place]) for place, name in enumerate(names, 1)})


def _matrix(rows: Sequence[Mapping[str, float]], names: Sequence[str]) -> Any:
    """Sparse, a column a name after the intercept's."""
    from scipy.sparse import csr_matrix

    places = {name: column for column, name in enumerate(names, 1)}
    values, columns, ends = [], [], [0]
    for features in rows:
        kept = [(places[name], value) for name, value in features.items() if name in places]
        columns += [0, *(column for column, _ in kept)]
        values += [1.0, *(value for _, value in kept)]
        ends.append(len(values))
    return csr_matrix((values, columns, ends), shape=(len(rows), len(names) + 1))


def _frequent(rows: Sequence[Mapping[str, float]], minimum: int) -> list[str]:
    counts: dict[str, int] = {}
    for features in rows:
        for name in features:
            counts[name] = counts.get(name, 0) + 1
    return sorted(name for name, count in counts.items() if count >= minimum)


def _newton(matrix: Any, target: Floats, weights: Floats, penalty: Floats, rounds: int = 60) -> Floats:
    """Damped Newton steps: each is halved until the penalised likelihood does not fall."""
    share = min(max(float(np.average(target, weights=weights)), 1e-4), 1 - 1e-4)
    solution = np.zeros(matrix.shape[1])
    solution[0] = math.log(share / (1 - share))
    value = _loss(matrix, target, weights, penalty, solution)
    for _ in range(rounds):
        chance = _sigmoid(matrix @ solution)
        gradient = matrix.T @ (weights * (chance - target)) + penalty * solution
        curvature = (matrix.T @ matrix.multiply((weights * chance * (1 - chance))[:, None])).toarray() + np.diag(penalty)
        step, size = np.linalg.solve(curvature, gradient), 1.0
        while size > 1e-4 and (trial := _loss(matrix, target, weights, penalty, solution - size * step)) > value:
            size /= 2
        if size <= 1e-4 or value - trial < 1e-7 * max(value, 1.0):
            break
        solution, value = solution - size * step, trial
    return solution


def _sigmoid(log_odds: Floats) -> Floats:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(log_odds, -30.0, 30.0))))


def _loss(matrix: Any, target: Floats, weights: Floats, penalty: Floats, solution: Floats) -> float:
    log_odds = matrix @ solution
    return float(np.sum(weights * (np.logaddexp(0.0, log_odds) - target * log_odds)) + 0.5 * np.sum(penalty * solution**2))
