"""Finds a model's files and names them by their content."""

from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, RepositoryNotFoundError

from weakbox.language_models.options import LocalOptions
from weakbox.records.errors import ConfigurationError

MODEL_FILES = ("*.safetensors", "*.bin", "*.json", "*.jinja", "*.model", "*.txt", "*.tiktoken")
CONTENT_NAMED = re.compile(r"[0-9a-f]{64}")
"""How the hub's cache names the blob of a large file: its SHA-256."""


def model_folder(options: LocalOptions) -> Path:
    """The folder that holds the model: the one named, or the hub's cache of a named model.

    Raises:
        ConfigurationError: neither is there, and a download is not allowed or fails.
    """
    folder = Path(options.model).expanduser()
    if folder.is_dir():
        return folder
    try:
        found = snapshot_download(
            options.model, revision=options.revision, local_files_only=not options.allow_download, allow_patterns=list(MODEL_FILES)
        )
    except (LocalEntryNotFoundError, HFValidationError, RepositoryNotFoundError, HfHubHTTPError) as error:
        advice = "check the name" if options.allow_download else "give a folder, fetch the model first, or set `allow_download: true`"
        msg = f"language model {options.model!r}: no such folder, and no such model in the local Hugging Face cache; {advice}"
        raise ConfigurationError(msg) from error
    return Path(found)


def facts_of(options: LocalOptions) -> str:
    """What is known of a model without reading its weights: the options that decide an answer, names, sizes and times of its files.

    Raises:
        ConfigurationError: there is no such model.
    """
    folder = model_folder(options)
    files = sorted({path for pattern in MODEL_FILES for path in folder.glob(pattern)})
    stats = [(path.name, path.resolve().name, path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    deciding = options.model_dump(mode="json", exclude={"batch_size", "batch_tokens", "reuse_prefix", "allow_download"})
    return json.dumps([str(folder.resolve()), deciding, stats, _has_nvidia()], sort_keys=True)


def _has_nvidia() -> bool:
    """Whether there is a CUDA device to choose, as far as can be seen without torch."""
    return any(Path("/dev").glob("nvidia[0-9]*")) and os.environ.get("CUDA_VISIBLE_DEVICES", "0") not in ("", "-1")


def content_digest(folder: Path) -> str:
    """SHA-256 over the model's files: weights, configuration, tokenizer, chat template.

    Raises:
        ConfigurationError: the folder holds no weights.
    """
    files = sorted({path for pattern in MODEL_FILES for path in folder.glob(pattern)})
    if not any(path.suffix in {".safetensors", ".bin"} for path in files):
        msg = f"{folder}: no weights (*.safetensors); expected a folder that `save_pretrained` or the hub's cache made"
        raise ConfigurationError(msg)
    digest = hashlib.sha256()
    for path in files:
        digest.update(f"{path.name} {_file_digest(path)}\n".encode())
    return digest.hexdigest()


def _file_digest(path: Path) -> str:
    target = path.resolve()
    if path.is_symlink() and CONTENT_NAMED.fullmatch(target.name):
        return target.name
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
