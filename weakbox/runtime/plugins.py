"""A plug-in is found by its file name: the directory listing is the registry."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from typing import Any

from weakbox.records.errors import ConfigurationError
from weakbox.runtime.nearest import nearest_name


def plugin_names(package: str, constant: str) -> tuple[str, ...]:
    """Names of the files in ``package`` that publish ``constant``, sorted.

    >>> "local" in plugin_names("weakbox.runtime.executors", "EXECUTOR")
    True
    """
    paths = importlib.import_module(package).__path__
    return tuple(sorted(module.name for module in pkgutil.iter_modules(paths) if _publishes(f"{package}.{module.name}", constant)))


def _publishes(module_name: str, constant: str) -> bool:
    spec = importlib.util.find_spec(module_name)
    if spec is None or spec.origin is None:
        return False
    with open(spec.origin, encoding="utf-8") as source:  # noqa: PTH123 - the text is enough: optional extras stay unimported
        return any(line.startswith((f"{constant} ", f"{constant}:")) for line in source)


def load_plugin(package: str, name: str, constant: str) -> Any:
    """The constant that ``<package>/<name>.py`` publishes.

    Raises:
        ConfigurationError: no such file; the message names the nearest one and lists all.
    """
    names = plugin_names(package, constant)
    if name not in names:
        place = package.replace(".", "/")
        msg = f"no {place}/{name}.py{nearest_name(name, names)} (there are: {', '.join(names)})"
        raise ConfigurationError(msg)
    try:
        module = importlib.import_module(f"{package}.{name}")
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("weakbox"):
            raise
        msg = (
            f"{package}.{name} needs the package {error.name!r}, which is not installed; "
            "sync with the extra of pyproject.toml that brings it, for example `uv sync --extra cluster`"
        )
        raise ConfigurationError(msg) from error
    return getattr(module, constant)
