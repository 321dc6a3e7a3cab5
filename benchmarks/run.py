"""All benchmarks, one command: ``uv run python -m benchmarks.run``. Writes ``docs/benchmarks.md``.

``--small`` takes a tenth of the sizes and writes nothing: to see that they run.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from benchmarks import export_case, indexing, language_models, reading, workload
from benchmarks.measured import Figure, machine

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
PAGE = ROOT / "docs" / "benchmarks.md"
HEAD = """# Benchmarks

Made by `uv run python -m benchmarks.run` on {machine}. Each figure stands beside a named peer or a physical floor that was
measured in the same run, unless it is marked as published.

| what | measured | compared with | aim |
| --- | --- | --- | --- |
"""


def figures(scale: float) -> Iterator[Figure]:
    """Every figure, in the order of the page."""
    counts = {"radiology": 12_000, "pathology": 4_000, "targets": 600, "studies": 1_900, "series": 31_000}
    yield from workload.measure(**{name: int(count * scale) for name, count in counts.items()})
    yield from reading.measure(int(3_000 * scale))
    yield from language_models.measure(int(2_000 * scale))
    yield from indexing.measure(int(30_000 * scale))
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
    """Measure, print and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="a tenth of the sizes; writes nothing")
    is_small = parser.parse_args().small
    rows = []
    for figure in figures(0.1 if is_small else 1.0):
        rows.append(f"| {figure.what} | {figure.value} | {figure.compared_with} | {figure.aim} |")
        print(rows[-1], flush=True)
    if not is_small:
        PAGE.write_text(HEAD.format(machine=machine()) + "\n".join(rows) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main_command()
