"""All benchmarks, one command: ``uv run python -m benchmarks.run``. Writes ``docs/benchmarks.md``.

``--small`` takes a tenth of the sizes and writes nothing: to see that they run.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path

from benchmarks import export_case, image_set, indexing, language_models, projection, reading, training, workload
from benchmarks.measured import Figure, machine

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
PAGE = ROOT / "docs" / "benchmarks.md"
HEAD = """# Benchmarks

Made by `uv run python -m benchmarks.run` on {machine}. Each figure stands beside a named peer or a physical floor that was
measured in the same run, unless it is marked as published. `--only PART` measures one part again.

"""
HEAD_ROW = "| what | measured | compared with | aim |\n| --- | --- | --- | --- |\n"


def parts(scale: float) -> Mapping[str, Callable[[], Iterable[Figure]]]:
    """The parts of the page in its order, by name."""
    counts = {"radiology": 12_000, "pathology": 4_000, "targets": 600, "studies": 1_900, "series": 31_000}
    return {
        "workload": lambda: workload.measure(**{name: int(count * scale) for name, count in counts.items()}),
        "reading": lambda: reading.measure(int(3_000 * scale)),
        "language_models": lambda: language_models.measure(int(2_000 * scale)),
        "indexing": lambda: indexing.measure(int(30_000 * scale)),
        "export": _export_figures,
        "projection": lambda: projection.measure(max(2, int(24 * scale))),
        "training": lambda: training.measure(max(32, int(160 * scale))),
        "image_set": lambda: image_set.measure(int(500_000 * scale)),
    }


def _export_figures() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as name:
        yield from export_case.measure(_finished_run(Path(name)))


def _finished_run(folder: Path) -> object:
    import main
    from weakbox.runtime.executors.local import LocalExecutor
    from weakbox.simulate.cohort import simulate

    with closing(LocalExecutor()) as executor:
        simulate(folder / "cohort", patients=4, seed=5, registration_error_mm=3.0, with_images=True, executor=executor, image_size="full")
    configuration = main.load_configuration(
        folder / "cohort" / "configs.yaml", [f"output.folder={folder / 'output'}", "export.exporters=[tables]"]
    )
    main.run_pipeline(configuration, main.STAGES)
    return main.open_store(configuration)


def main_command() -> None:
    """Measure, print and write the page; with ``--only`` the other parts of the page stay as they were measured before."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="a tenth of the sizes; writes nothing")
    parser.add_argument("--only", nargs="+", metavar="PART", help=f"only these parts: {', '.join(parts(1.0))}")
    options = parser.parse_args()
    table = {} if options.only is None else earlier_rows()
    for name, measure in parts(0.1 if options.small else 1.0).items():
        if options.only is None or name in options.only:
            table[name] = []
            for figure in measure():
                table[name].append(f"| {figure.what} | {figure.value} | {figure.compared_with} | {figure.aim} |")
                print(table[name][-1], flush=True)
    if not options.small:
        blocks = [f"<!-- {name} -->\n{HEAD_ROW}" + "\n".join(table[name]) for name in parts(1.0) if table.get(name)]
        PAGE.write_text(HEAD.format(machine=machine()) + "\n\n".join(blocks) + "\n", encoding="utf-8")


def earlier_rows() -> dict[str, list[str]]:
    """The rows of the page by part, as they stand."""
    rows: dict[str, list[str]] = {}
    name = ""
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("<!-- "):
            name = line.removeprefix("<!-- ").removesuffix(" -->")
        elif name and line.startswith("| ") and not line.startswith(("| what", "| ---")):
            rows.setdefault(name, []).append(line)
    return rows


if __name__ == "__main__":
    main_command()
