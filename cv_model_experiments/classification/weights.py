"""Pre-trained weights: ImageNet's through torchvision, or a file of the user's. A network that cannot have them says so."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import URLError

import torch
from torch import Tensor, nn

from cv_model_experiments.classification.networks import ARCHITECTURES
from cv_model_experiments.classification.settings import ModelSettings
from weakbox.records.errors import ConfigurationError, InputError
from weakbox.runtime.nearest import one_of

LEAST_SHARE = 0.5
"""Of a network's layers that must be found in a file; fewer mean another architecture."""
_WRAPPINGS = ("state_dict", "model_state_dict", "model", "network", "module")
_PREFIXES = ("module.", "model.", "network.", "backbone.", "net.", "encoder.")


@dataclass(slots=True)
class PretrainedWeights:
    """A state dictionary, and what it was put into. Called with a network it fills it in."""

    state: Mapping[str, Tensor]
    source: str
    sha256: str
    used: int = 0
    unused: int = field(default=0)

    def __call__(self, network: nn.Module) -> None:
        """Fill a network in by the names of its layers; the head and layers of another shape stay random.

        Raises:
            InputError: less than half of the layers are there: another architecture.
        """
        wanted = network.state_dict()
        fitting = {name: fitted for name, value in wanted.items() if (fitted := _fitted(self.state.get(name), value)) is not None}
        names = [name for name in wanted if not name.endswith("num_batches_tracked")]
        found = [name for name in names if name in fitting]
        self.used, self.unused = len(found), len(self.state) - len(fitting)
        if len(found) < LEAST_SHARE * len(names):
            there, here = (", ".join(sorted(mapping)[:3]) for mapping in (self.state, wanted))
            msg = (
                f"{self.source}: holds {len(found)} of the {len(names)} layers of this architecture (it has {there} ...; expected "
                f"{here} ...); choose the model.name that it belongs to"
            )
            raise InputError(msg)
        network.load_state_dict({**wanted, **fitting})

    def description(self) -> dict[str, Any]:
        """For the record of the run."""
        return {"source": self.source, "sha256": self.sha256, "layers_used": self.used, "layers_unused": self.unused}


def _fitted(found: Tensor | None, wanted: Tensor) -> Tensor | None:
    """The tensor where it fits; a first convolution of other input channels by the mean over them."""
    if found is None or found.shape == wanted.shape:
        return found
    is_convolution = found.ndim == wanted.ndim >= 4
    if is_convolution and found.shape[0] == wanted.shape[0] and found.shape[2:] == wanted.shape[2:] and found.shape[1] in (1, 3):
        share = found.shape[1] / wanted.shape[1]
        return found.float().mean(dim=1, keepdim=True).expand_as(wanted).mul(share).to(wanted.dtype)
    return None


def pretrained_weights(settings: ModelSettings, axes: int) -> PretrainedWeights | None:
    """What the settings ask for; None for random weights.

    Raises:
        ConfigurationError: ImageNet weights for a network or for volumes that have none.
        InputError: they cannot be downloaded, or the file cannot be read.
    """
    if settings.weights == "none":
        return None
    if settings.weights_file is not None:
        return read_weights(settings.weights_file)
    name = ARCHITECTURES[one_of(settings.name, ARCHITECTURES, "model.name")].torchvision
    if axes == 3 or name is None:
        what = "volumes" if axes == 3 else settings.name
        msg = f"model.weights: there are no ImageNet weights for {what}; write none, or file with weights_file"
        raise ConfigurationError(msg)
    return _imagenet(name)


def _imagenet(name: str) -> PretrainedWeights:
    from torchvision import models

    chosen = getattr(models, name).IMAGENET1K_V1
    try:
        state = chosen.get_state_dict(progress=False, check_hash=True)
    except (URLError, OSError, RuntimeError) as error:  # torch.hub raises RuntimeError where the digest is another
        cache = Path(torch.hub.get_dir()) / "checkpoints"
        msg = (
            f"model.weights: the ImageNet weights cannot be downloaded from {chosen.url} ({error}); fetch that file on a machine with "
            f"network and put it into {cache}, or give it as weights: file with weights_file; or train from random weights: weights: none"
        )
        raise InputError(msg) from error
    return PretrainedWeights(state=state, source=f"torchvision {chosen}", sha256=_digest(state))


def read_weights(path: Path) -> PretrainedWeights:
    """A file of weights: a state dictionary, possibly inside a checkpoint, names with or without a common prefix.

    Raises:
        InputError: no such file, or no weights in it.
    """
    if not path.is_file():
        msg = f"{path}: no such file; model.weights_file is a state dictionary (.pt, .pth, .safetensors)"
        raise InputError(msg)
    try:
        content = _read_safetensors(path) if path.suffix == ".safetensors" else torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, OSError, EOFError, ValueError, KeyError, pickle.UnpicklingError) as error:
        msg = f"{path}: no weights that can be read safely ({str(error).splitlines()[0][:200]}); save a plain state dictionary"
        raise InputError(msg) from error
    state = _state_in(content)
    if not state:
        msg = f"{path}: there is no state dictionary in it; save network.state_dict()"
        raise InputError(msg)
    return PretrainedWeights(state=_without_prefixes(state), source=path.name, sha256=hashlib.sha256(path.read_bytes()).hexdigest())


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        from safetensors.torch import load_file
    except ModuleNotFoundError:
        msg = f"{path}: reading .safetensors needs the package safetensors; sync with the extra llm, or save it as .pt"
        raise InputError(msg) from None
    loaded: dict[str, Tensor] = load_file(path)
    return loaded


def _state_in(content: Any) -> dict[str, Tensor]:
    if not isinstance(content, Mapping):
        return {}
    tensors = {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
    if tensors:
        return tensors
    return next((found for name in _WRAPPINGS if (found := _state_in(content.get(name)))), {})


def _without_prefixes(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    names = dict.fromkeys(state)
    shortened = {name: name for name in names}
    while (prefix := next((one for one in _PREFIXES if all(name.startswith(one) for name in shortened.values())), None)) is not None:
        shortened = {old: name.removeprefix(prefix) for old, name in shortened.items()}
    return {new: state[old] for old, new in shortened.items()}


def _digest(state: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name, value in sorted(state.items()):
        digest.update(name.encode())
        digest.update(value.contiguous().numpy().tobytes())
    return digest.hexdigest()
