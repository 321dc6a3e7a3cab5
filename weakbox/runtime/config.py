"""One YAML file, validated before any work: unknown keys are refused with the nearest name."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from weakbox.records.errors import ConfigurationError
from weakbox.runtime.nearest import nearest_name

Model = TypeVar("Model", bound=BaseModel)


class Settings(BaseModel):
    """Base of every section: frozen, no unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class OutputSettings(Settings):
    """Where the run's records and the dataset go."""

    folder: Path = Field(default=Path("output"), description="Folder of this run: records, ledger, dataset and private mapping.")

    @property
    def store(self) -> Path:
        """Where the stages' records lie."""
        return self.folder / "store"

    @property
    def public(self) -> Path:
        """Where the records of public sets lie."""
        return self.folder / "public_store"

    @property
    def dataset(self) -> Path:
        """The exported dataset; holds research identifiers only."""
        return self.folder / "dataset"

    @property
    def decisions(self) -> Path:
        """Readers' review decisions, JSON Lines; they win as votes."""
        return self.folder / "review" / "decisions.jsonl"

    @property
    def private(self) -> Path:
        """The key and the mapping of identifiers; never part of the dataset."""
        return self.folder / "private"


class PrivacySettings(Settings):
    """How patients are named outside."""

    identifiers: Literal["research", "original"] = Field(
        default="research",
        description="`research`: keyed hashes (or the crosswalk's research identifiers); `original`: identifiers as they are.",
    )
    shift_dates: bool = Field(default=True, description="Move each patient's dates by that patient's own number of days.")
    key_file: Path | None = Field(default=None, description="Secret key of the hashes; made in the run's `private` folder where not given.")


class ExecutorSettings(Settings):
    """Where the heavy stages run."""

    kind: str = Field(
        default="local", description="A file in `weakbox/runtime/executors`: `local` (processes) or `dask` (extra `cluster`)."
    )
    workers: int | None = Field(default=None, ge=1, description="Worker processes; all cores where not given.")
    shards: int = Field(default=32, ge=1, le=9999, description="Pieces that the cohort is cut into by a hash of the patient.")
    address: str | None = Field(default=None, description="`dask`: address of a scheduler, `tcp://host:8786`.")
    launch: Literal["slurm", "kubernetes"] | None = Field(
        default=None, description="`dask`: cluster that Dask starts instead of an address."
    )
    launch_options: Mapping[str, Any] = Field(default_factory=dict, description="`dask`: options handed to SLURMCluster or KubeCluster.")


class SimulationSettings(Settings):
    """The built-in demo cohort: simulated where it is not on disk."""

    folder: Path = Field(default=Path("demo"), description="Folder of the cohort.")
    patients: int = Field(default=12, ge=1, description="Number of patients.")
    seed: int = Field(default=7, description="Seed: the same seed gives the same bytes.")
    registration_error_mm: float = Field(default=3.0, ge=0, description="Root mean square error of biopsy coordinates, mm.")


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file.

    Raises:
        ConfigurationError: no such file, no YAML, or no mapping.
    """
    if not path.is_file():
        msg = f"{path}: no such configuration file; `configs.yaml` in the project's root is one that runs as it stands"
        raise ConfigurationError(msg)
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        msg = f"{path}: not valid YAML in UTF-8: {error}"
        raise ConfigurationError(msg) from None
    if not isinstance(content, dict):
        msg = f"{path}: expected a mapping of sections such as `inputs:` and `output:`, got {type(content).__name__}"
        raise ConfigurationError(msg)
    return content


def apply_overrides(content: dict[str, Any], overrides: Iterable[str]) -> dict[str, Any]:
    """``section.key=value`` pairs over a configuration; values are read as YAML.

    >>> apply_overrides({"labels": {}}, ["labels.default_diameter_mm=10"])
    {'labels': {'default_diameter_mm': 10}}
    """
    for override in overrides:
        name, separator, value = override.partition("=")
        if not separator or not name:
            msg = f"--set {override}: expected section.key=value, for example labels.default_diameter_mm=12"
            raise ConfigurationError(msg)
        *parents, last = name.split(".")
        place = content
        for parent in parents:
            if place.get(parent) is None:
                place[parent] = {}
            place = place[parent]
            if not isinstance(place, dict):
                msg = f"--set {override}: {parent!r} is not a section"
                raise ConfigurationError(msg)
        place[last] = _override_value(override, value)
    return content


def _override_value(override: str, text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        msg = f"--set {override}: the value is not valid YAML; write for example 'export.exporters=[nifti, tables]'"
        raise ConfigurationError(msg) from None


def validate(model: type[Model], content: object, where: str, source: str) -> Model:
    """``content`` as ``model``.

    Raises:
        ConfigurationError: names the file, the key, what was expected, and for an unknown key the nearest one.
    """
    try:
        return model.model_validate(content if content is not None else {})
    except ValidationError as error:
        problems = [_problem(model, item, where) for item in error.errors(include_url=False)]
        raise ConfigurationError(f"{source}: " + "; ".join(problems)) from None


def _problem(model: type[BaseModel], error: Any, where: str) -> str:
    location = [str(part) for part in error["loc"]]
    key = ".".join(([where] if where else []) + location)
    if error["type"] == "extra_forbidden":
        known = _keys_at(model, location[:-1])
        nearest = nearest_name(location[-1], known)
        return f"unknown key `{key}`{nearest}" if nearest else f"unknown key `{key}` (there are: {', '.join(sorted(known))})"
    if error["type"] == "missing":
        return f"`{key}` is required"
    return f"`{key}`: {error['msg'].removeprefix('Value error, ')}, got {error['input']!r}"


def _keys_at(model: type[BaseModel], location: Sequence[str]) -> list[str]:
    for part in location:
        field = model.model_fields.get(part)
        inner = _model_in(field.annotation) if field else None
        if inner is None:
            continue
        model = inner
    return list(model.model_fields)


def _model_in(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for argument in get_args(annotation) if (found := _model_in(argument)) is not None), None)


def expand_path(path: Path, base: Path) -> Path:
    """A path of the configuration: ``~`` and ``${VARIABLE}`` expanded, relative ones taken from the configuration's folder.

    Raises:
        ConfigurationError: the variable is not set.
    """
    expanded = os.path.expandvars(str(path.expanduser()))
    unset = re.search(r"\$\{?(\w+)", expanded)
    if unset:
        msg = f"{path}: the environment variable {unset.group(1)} is not set; set it or write the folder out"
        raise ConfigurationError(msg)
    return base / expanded


def resolve_paths(value: Any, base: Path) -> Any:
    """The same settings with every path expanded (see ``expand_path``)."""
    if isinstance(value, Path):
        return expand_path(value, base)
    if isinstance(value, BaseModel):
        changes = {name: resolve_paths(getattr(value, name), base) for name in type(value).model_fields}
        return value.model_copy(update={name: new for name, new in changes.items() if new is not getattr(value, name)})
    if isinstance(value, tuple | list):
        return type(value)(resolve_paths(item, base) for item in value)
    return value


class Configuration:
    """The validated sections of one configuration file, by name; each stage takes its own."""

    def __init__(self, path: Path, sections: Mapping[str, BaseModel]) -> None:
        self.path = path
        self.sections = dict(sections)

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["sections"][name]
        except KeyError:
            raise AttributeError(name) from None

    def digest_text(self) -> str:
        """The choices as JSON text, without the folders: what provenance hashes."""
        chosen = {name: _without_places(section) for name, section in self.sections.items() if name not in PLACES}
        return repr(sorted(chosen.items()))


def _without_places(section: BaseModel) -> str:
    places = {name for name in type(section).model_fields if isinstance(getattr(section, name), Path)}
    return section.model_dump_json(exclude=places)


PLACES = {"inputs", "output", "executor", "simulate"}
"""Sections that say where things lie and run, not what is decided."""

RUNTIME_SECTIONS: dict[str, type[BaseModel]] = {
    "output": OutputSettings,
    "privacy": PrivacySettings,
    "executor": ExecutorSettings,
}


def load(path: Path, overrides: Iterable[str], sections: Mapping[str, type[BaseModel]]) -> Configuration:
    """Read, override and validate a configuration; relative paths are taken from its folder.

    Raises:
        ConfigurationError: anything that is not usable, with the section, key and remedy.
    """
    content = apply_overrides(read_yaml(path), overrides)
    known = {**RUNTIME_SECTIONS, **sections}
    for name in content:
        if name not in known and name != "simulate":
            msg = f"{path}: unknown section `{name}`{nearest_name(str(name), [*known, 'simulate'])}"
            raise ConfigurationError(msg)
    if "simulate" in content:
        known["simulate"] = SimulationSettings
    validated = {name: validate(model, content.get(name), name, str(path)) for name, model in known.items()}
    return Configuration(path, {name: resolve_paths(section, path.resolve().parent) for name, section in validated.items()})
