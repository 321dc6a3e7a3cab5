"""The import law, read from the source text: what may import what, kept by one table. See docs/decisions for why."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from weakbox.organs.organ import Organ
from weakbox.records.errors import ConfigurationError
from weakbox.runtime.plugins import load_plugin, plugin_names
from weakbox.sources.source import Source, SourceOptions

ROOT = Path(__file__).resolve().parents[1]

STAGES = ("preprocessing", "extraction", "matching", "postprocessing", "export")
CRAFT = ("weakbox.records", "weakbox.terminology", "weakbox.organs", "weakbox.text", "weakbox.imaging", "weakbox.runtime",
         "weakbox.linking", "weakbox.labelling", "weakbox.sources", "weakbox.datasets_public", "weakbox.curation",
         "weakbox.extractors", "weakbox.exporters")  # fmt: skip
FIRM = ("weakbox.records", "weakbox.terminology")

MAY_IMPORT: dict[str, tuple[str, ...]] = {
    # what flows, and what is published: import nothing of ours
    "weakbox.records": (),
    "weakbox.terminology": ("weakbox.records",),  # tables are records, and codes name what records hold
    # the craft: never a stage
    "weakbox.organs": FIRM,
    "weakbox.text": (*FIRM, "weakbox.organs"),
    "weakbox.imaging": FIRM,
    "weakbox.runtime": (*FIRM, "weakbox"),  # `weakbox` itself holds nothing but the version
    "weakbox.linking": (*FIRM, "weakbox.organs", "weakbox.text", "weakbox.imaging"),
    "weakbox.labelling": (*FIRM, "weakbox.organs", "weakbox.text", "weakbox.imaging", "weakbox.linking"),
    "weakbox.sources": (*FIRM, "weakbox.organs", "weakbox.text", "weakbox.imaging", "weakbox.runtime"),
    "weakbox.datasets_public": (*FIRM, "weakbox.organs", "weakbox.imaging", "weakbox.runtime", "weakbox.sources"),
    "weakbox.curation": (*FIRM, "weakbox.imaging", "weakbox.runtime"),
    "weakbox.clients": (*FIRM, "weakbox.runtime"),
    "weakbox.extractors": (*FIRM, "weakbox.organs", "weakbox.text", "weakbox.runtime", "llm"),
    "weakbox.language_models": (*FIRM, "weakbox.runtime"),
    "weakbox.evaluation": (*FIRM, "weakbox.organs", "weakbox.text", "weakbox.runtime", "weakbox.extractors", "weakbox"),
    "weakbox.exporters": (*FIRM, "weakbox.organs", "weakbox.text", "weakbox.imaging", "weakbox.runtime", "weakbox"),
    "weakbox.audit": (*FIRM, "weakbox.organs", "weakbox.imaging", "weakbox.runtime", "weakbox"),
    "weakbox.review": (*FIRM, "weakbox.organs", "weakbox.imaging", "weakbox.runtime", "weakbox.audit"),
    "weakbox.simulate": (*FIRM, "weakbox.organs", "weakbox.imaging", "weakbox.runtime"),
    "weakbox": (),
    # the one door to a language model: no medicine
    "llm": ("weakbox.records", "weakbox.runtime", "weakbox.language_models"),
    # the stages: never each other
    **dict.fromkeys(STAGES, CRAFT),
    "main": (
        *STAGES,
        *CRAFT,
        "weakbox.audit",
        "weakbox.evaluation",
        "weakbox.review",
        "weakbox.simulate",
        "weakbox.clients",
        "weakbox.commands",
        "weakbox",
        "llm",
    ),
    # commands that need no stage
    "weakbox.commands": (*CRAFT, "weakbox.audit", "weakbox.evaluation", "weakbox.simulate", "weakbox.clients", "llm"),
    # models: read what the pipeline wrote; nothing imports them
    "cv_model_experiments": (*CRAFT, "weakbox", "weakbox.audit", "weakbox.commands"),
    "benchmarks": (
        *STAGES,
        *CRAFT,
        "main",
        "weakbox",
        "weakbox.audit",
        "weakbox.simulate",
        "weakbox.evaluation",
        "llm",
        "weakbox.language_models",
    ),
}

ONLY_IN: dict[str, tuple[str, ...]] = {
    "highdicom": ("weakbox.imaging", "weakbox.exporters"),
    "torch": ("llm", "weakbox.language_models", "benchmarks", "cv_model_experiments"),
    "transformers": ("llm", "weakbox.language_models", "benchmarks", "cv_model_experiments"),
    "monai": ("cv_model_experiments",),
    "openai": ("llm",),
    "fastapi": ("weakbox.review",),
    "uvicorn": ("weakbox.review",),
    "distributed": ("weakbox.runtime",),
    "dask": ("weakbox.runtime",),
    "dask_jobqueue": ("weakbox.runtime",),
    "spacy": ("weakbox.text", "weakbox.extractors"),
    "typer": ("main", "weakbox.commands", "cv_model_experiments", "benchmarks"),
    "matplotlib": ("weakbox.audit", "weakbox.exporters", "cv_model_experiments", "benchmarks"),
}
"""Libraries that stay behind one door."""

LATE = ("pandas", "SimpleITK", "highdicom", "spacy", "matplotlib", "scipy", "torch", "distributed", "pydicom", "nibabel")
"""What `main.py --help` must not wait for."""

ROOT_MODULES = ("main", *STAGES)
ROOT_MODULES_LATER = ("llm",)
"""May be there; comes with its own change."""


def source_files() -> list[Path]:
    """Every Python file of ours but the tests."""
    folders = [folder for folder in ("weakbox", "cv_model_experiments", "benchmarks") if (ROOT / folder).is_dir()]
    return sorted([*ROOT.glob("*.py"), *(path for folder in folders for path in (ROOT / folder).rglob("*.py"))])


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in source_files()}


def place_of(module: str) -> str:
    """The row of the table that a module belongs to: a root module, `weakbox.<package>`, or a root package."""
    parts = module.split(".")
    return ".".join(parts[:2]) if parts[0] == "weakbox" else parts[0]


@cache
def tree_of(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text(encoding="utf-8"))


def imports_in(tree: ast.AST) -> Iterator[str]:
    """Absolute names that an import statement may bind: `from a import b` gives `a.b`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def our_module(name: str) -> str | None:
    """The module of ours that an imported name stands for, if it is ours."""
    while name and name not in MODULES:
        name = name.rpartition(".")[0]
    return name or None


def is_type_checking(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}


def modules_loaded_by(module: str) -> set[str]:
    """Modules of ours that are loaded when this one is: imports outside functions and outside TYPE_CHECKING."""
    body = [node for node in tree_of(module).body if not isinstance(node, ast.FunctionDef | ast.ClassDef) and not is_type_checking(node)]
    found = {our_module(name) for node in body for name in imports_in(node)}
    return {name for name in found if name is not None and name != module}


def modules_named_by(module: str) -> set[str]:
    """Modules of ours that this one imports anywhere: late imports and those for type checking count too."""
    found = {our_module(name) for name in imports_in(tree_of(module))}
    return {name for name in found if name is not None and name != module}


def cycles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Strongly connected components of more than one module (Tarjan 1972)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for following in sorted(graph.get(node, ())):
            if following not in index:
                visit(following)
                low[node] = min(low[node], low[following])
            elif following in stack:
                low[node] = min(low[node], index[following])
        if low[node] == index[node]:
            component = stack[stack.index(node) :]
            del stack[stack.index(node) :]
            if len(component) > 1:
                found.append(sorted(component))

    for node in sorted(graph):
        if node not in index:
            visit(node)
    return found


@pytest.mark.parametrize("module", sorted(MODULES))
def test_a_module_imports_only_what_the_table_allows(module: str) -> None:
    place = place_of(module)
    assert place in MAY_IMPORT, f"{module}: give {place} a row in MAY_IMPORT"
    used = {place_of(found) for name in imports_in(tree_of(module)) if (found := our_module(name)) is not None}
    allowed = {place, *MAY_IMPORT[place]}
    assert used <= allowed, f"{module} may not import {sorted(used - allowed)}"


@pytest.mark.parametrize("module", sorted(MODULES))
def test_a_library_behind_one_door_is_used_nowhere_else(module: str) -> None:
    for name in imports_in(tree_of(module)):
        library = name.split(".")[0]
        assert place_of(module) in ONLY_IN.get(library, (place_of(module),)), f"{module} imports {library}: only {ONLY_IN[library]} may"


@pytest.mark.parametrize("module", sorted(MODULES))
def test_imports_are_absolute(module: str) -> None:
    relative = [node.lineno for node in ast.walk(tree_of(module)) if isinstance(node, ast.ImportFrom) and node.level > 0]
    assert relative == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert cycles({module: modules_loaded_by(module) for module in MODULES}) == []


def test_no_modules_import_each_other_in_a_circle_by_late_imports_either() -> None:
    assert cycles({module: modules_named_by(module) for module in MODULES}) == []


def test_the_circle_finder_finds_circles() -> None:
    assert cycles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a", "d"}, "e": set()}) == [["a", "b", "c"]]


def test_the_stages_do_not_know_each_other() -> None:
    for stage in STAGES:
        assert not set(MAY_IMPORT[stage]) & {*STAGES, "main"}


def test_the_table_lets_the_model_in_by_one_door() -> None:
    assert {place for place, allowed in MAY_IMPORT.items() if "llm" in allowed} == {
        "weakbox.extractors",
        "weakbox.commands",
        "main",
        "benchmarks",
    }


def test_nothing_may_import_the_model_experiments() -> None:
    assert not any("cv_model_experiments" in allowed for allowed in MAY_IMPORT.values())


def test_the_root_holds_the_stages_and_nothing_else() -> None:
    at_root = {path.stem for path in ROOT.glob("*.py")}
    assert set(ROOT_MODULES) <= at_root
    assert at_root <= {*ROOT_MODULES, *ROOT_MODULES_LATER}
    assert (ROOT / "configs.yaml").is_file()


def test_every_package_says_what_it_is_for() -> None:
    """A package without a docstring, or a folder of modules that is no package, has no place in the house."""
    for folder in sorted({path.parent for path in source_files()} - {ROOT}):
        initial = folder / "__init__.py"
        if folder.is_relative_to(ROOT / "weakbox"):
            assert initial.is_file(), f"{folder.relative_to(ROOT)} has no __init__.py"
            assert ast.get_docstring(ast.parse(initial.read_text(encoding="utf-8"))), f"{folder.relative_to(ROOT)} says not what it is for"


@pytest.mark.parametrize("module", sorted(MODULES))
def test_every_module_says_what_it_is_for(module: str) -> None:
    assert ast.get_docstring(tree_of(module))


def loaded_after(*command: str) -> set[str]:
    """Top-level names of the modules that a command of the interpreter loaded."""
    result = subprocess.run([sys.executable, "-X", "importtime", *command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr[-2000:]
    lines = (line.rpartition("|")[2].strip() for line in result.stderr.splitlines() if line.startswith("import time:"))
    return {line.split(".")[0] for line in lines}


@pytest.mark.parametrize("command", [("-c", "import main"), ("main.py", "--help"), ("main.py", "trace", "--help")], ids=" ".join)
def test_help_waits_for_no_heavy_library(command: tuple[str, ...]) -> None:
    loaded = loaded_after(*command)
    assert "typer" in loaded
    assert loaded & set(LATE) == set()


FAMILIES = {
    "weakbox.sources": "SOURCE",
    "weakbox.extractors": "EXTRACTOR",
    "weakbox.exporters": "EXPORTER",
    "weakbox.organs": "ORGAN",
    "weakbox.runtime.executors": "EXECUTOR",
}
INTERFACES = {
    "weakbox.sources.source", "weakbox.organs.organ", "weakbox.exporters.exporter", "weakbox.extractors.extractor",
    "weakbox.runtime.executors.executor",
}  # fmt: skip
"""The file of each family that says what a plug-in is."""
FAMILY_FILES = [
    (package, constant, module.rpartition(".")[2])
    for package, constant in FAMILIES.items()
    for module in sorted(MODULES)
    if module.rpartition(".")[0] == package and module not in INTERFACES
]


@pytest.mark.parametrize(("package", "constant", "name"), FAMILY_FILES, ids=lambda value: str(value).rpartition(".")[2])
def test_a_file_of_a_family_is_a_plugin_or_serves_one(package: str, constant: str, name: str) -> None:
    if name in plugin_names(package, constant):
        return
    module = f"{package}.{name}"
    users = [other for other in MODULES if other != module and module in {our_module(found) for found in imports_in(tree_of(other))}]
    assert users, f"{module} publishes no {constant}, and nothing uses it"


def plugins(package: str) -> list[str]:
    return list(plugin_names(package, FAMILIES[package])) if package in MODULES else []


@pytest.mark.parametrize("name", plugins("weakbox.sources"))
def test_a_source_keeps_the_contract(name: str) -> None:
    source = load_plugin("weakbox.sources", name, "SOURCE")
    assert isinstance(source, Source)
    assert issubclass(source.options, SourceOptions)
    undescribed = [key for key, field in source.options.model_fields.items() if key != "source" and not field.description]
    assert undescribed == [], f"{name}: the options {undescribed} say not what they mean"
    assert (MODULES[f"weakbox.sources.{name}"].read_text(encoding="utf-8")).startswith('"""')


@pytest.mark.parametrize("name", plugins("weakbox.organs"))
def test_an_organ_keeps_the_contract(name: str) -> None:
    organ = load_plugin("weakbox.organs", name, "ORGAN")
    assert isinstance(organ, Organ)
    assert organ.name == name
    assert all(word == word.lower() for word in organ.words)
    for report_type, shape in organ.shapes.items():
        assert shape.report_type is report_type
        for fields in (shape.exam, shape.item):
            names = [field.name for field in fields]
            assert len(names) == len(set(names)), f"{name}: a field of {report_type} is named twice"
            assert all(field.meaning for field in fields)


@pytest.mark.parametrize("name", plugins("weakbox.exporters"))
def test_an_exporter_keeps_the_contract(name: str) -> None:
    exporter = load_plugin("weakbox.exporters", name, "EXPORTER")
    assert callable(exporter.write) or callable(exporter.write_dataset)


@pytest.mark.parametrize("name", plugins("weakbox.extractors"))
def test_an_extractor_keeps_the_contract(name: str) -> None:
    try:
        extractor = load_plugin("weakbox.extractors", name, "EXTRACTOR")
    except ConfigurationError as error:
        pytest.skip(str(error))
    assert callable(extractor)


@pytest.mark.parametrize("name", plugins("weakbox.runtime.executors"))
def test_an_executor_keeps_the_contract(name: str) -> None:
    try:
        open_executor = load_plugin("weakbox.runtime.executors", name, "EXECUTOR")
    except ConfigurationError as error:
        pytest.skip(str(error))
    assert callable(open_executor)
