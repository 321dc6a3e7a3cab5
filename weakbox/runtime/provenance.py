"""What made a run: versions and digests, never a clock."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping

import weakbox
from weakbox.records.artifact import Provenance

PACKAGES = ("numpy", "pandas", "pydicom", "highdicom", "SimpleITK", "nibabel", "scipy", "spacy")


def provenance(configuration_sha256: str, models: Mapping[str, str]) -> Provenance:
    """The versions of Weakbox and of the packages whose results it writes."""
    packages = {name: importlib.metadata.version(name) for name in PACKAGES}
    return Provenance(
        weakbox_version=weakbox.__version__, configuration_sha256=configuration_sha256, packages=packages, models=dict(models)
    )
