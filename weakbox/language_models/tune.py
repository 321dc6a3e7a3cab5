"""A site's own small model: LoRA adapters trained on reviewed answers, merged into a model folder. Knows no medicine."""

from __future__ import annotations

import hashlib
import json
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from torch.nn.utils import clip_grad_norm_
from transformers import AutoModelForCausalLM, AutoTokenizer

from weakbox.language_models.interface import Message
from weakbox.language_models.local import LocalModel, chosen_device
from weakbox.language_models.options import LocalOptions, TuneOptions
from weakbox.language_models.weights import content_digest, model_folder
from weakbox.records.errors import ConfigurationError, InputError
from weakbox.records.record import record
from weakbox.runtime.progress import track

IGNORED = -100
"""Label of a token that the loss does not count: those of the prompt."""
GRADIENT_NORM = 1.0


@record
class Example:
    """A question and the answer to learn. ``group`` is a hospital or a patient: no group is in training and validation."""

    messages: tuple[Message, ...]
    answer: str
    group: str


@record
class Tokens:
    """An example as tokens; ``answer_from`` is where the answer begins."""

    ids: tuple[int, ...]
    answer_from: int


def tune(examples: Sequence[Example], options: TuneOptions) -> dict[str, Any]:
    """Train, and write ``adapter/``, ``model/`` (merged, as any model folder) and ``card.json`` into the output folder.

    Returns the card: digests and counts, losses, options; no text. The same examples, options and machine give the same model.

    Raises:
        ConfigurationError: no such model or device, or an output folder that is not empty.
        InputError: no example fits into the longest length.
    """
    output = options.output
    if output.exists() and any(output.iterdir()):
        msg = f"{output}: not empty; name a new folder for the tuned model"
        raise ConfigurationError(msg)
    torch.manual_seed(options.seed)
    base = LocalOptions(model=options.model, device=options.device, dtype=options.dtype)
    folder, device = model_folder(base), torch.device(chosen_device(options.device))
    tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    number_format = torch.float32 if device.type == "cpu" and options.dtype == "auto" else options.dtype
    network: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=number_format, local_files_only=True)
    network = network.to(device)
    reader = LocalModel(network, tokenizer, base, "")
    training, validation = split_by_group(examples, options.validation_share, options.seed)
    kept = {name: _fitting(reader, part, options.longest) for name, part in (("training", training), ("validation", validation))}
    if not kept["training"]:
        msg = f"none of {len(training)} examples fits into {options.longest} tokens; give a larger `longest`"
        raise InputError(msg)
    adapters = LoraConfig(r=options.rank, lora_alpha=2 * options.rank, target_modules="all-linear", task_type="CAUSAL_LM")
    model: Any = get_peft_model(network, adapters)
    losses = {f"{name}_before": mean_loss(model, part, device) for name, part in kept.items()}
    _train(model, kept["training"], options, device)
    losses |= {f"{name}_after": mean_loss(model, part, device) for name, part in kept.items()}
    model.save_pretrained(output / "adapter")
    model.merge_and_unload().save_pretrained(output / "model")
    tokenizer.save_pretrained(output / "model")
    card = _card(examples, kept, losses, options, folder, output)
    (output / "card.json").write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    return card


def split_by_group(examples: Sequence[Example], share: float, seed: int) -> tuple[list[Example], list[Example]]:
    """Training and validation; whole groups, in an order that their hashes give, until validation has its share.

    One group alone is all training.
    """
    groups = sorted({example.group for example in examples}, key=lambda group: hashlib.sha256(f"{seed} {group}".encode()).digest())
    chosen: set[str] = set()
    for group in groups[:-1]:
        if sum(example.group in chosen for example in examples) >= share * len(examples):
            break
        chosen.add(group)
    return [e for e in examples if e.group not in chosen], [e for e in examples if e.group in chosen]


def _fitting(reader: LocalModel, examples: Sequence[Example], longest: int) -> list[Tokens]:
    tokens = [tokens_of(reader, example) for example in examples]
    return [example for example in tokens if len(example.ids) <= longest]


def tokens_of(reader: LocalModel, example: Example) -> Tokens:
    """The prompt as the model will be asked, the answer, and the end of the turn."""
    prompt, answer = reader.prompt_tokens(example.messages), reader.answer_tokens(example.answer)
    return Tokens(ids=(*prompt, *answer), answer_from=len(prompt))


def _loss(model: Any, example: Tokens, device: torch.device) -> torch.Tensor:
    """Mean loss over the tokens of the answer."""
    ids = torch.tensor([example.ids], device=device)
    labels = ids.clone()
    labels[:, : example.answer_from] = IGNORED
    loss: torch.Tensor = model(input_ids=ids, labels=labels, use_cache=False).loss
    return loss


def mean_loss(model: Any, examples: Sequence[Tokens], device: torch.device) -> float | None:
    """Over examples, without learning; None where there are none."""
    model.eval()
    with torch.no_grad():
        losses = [float(_loss(model, example, device)) for example in examples]
    return sum(losses) / len(losses) if losses else None


def _train(model: Any, examples: Sequence[Tokens], options: TuneOptions, device: torch.device) -> None:
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimiser = torch.optim.AdamW(weights, lr=options.learning_rate)
    steps = options.epochs * math.ceil(len(examples) / options.batch_size)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: min(1.0, (step + 1) / max(1, steps // 20)) * (1 - step / steps))
    model.train()
    if device.type == "cuda":
        model.gradient_checkpointing_enable()
        model.enable_input_require_grads()
    for batch in track(_batches(examples, options), description="Tuning", total=steps):
        for example in batch:
            (_loss(model, example, device) / len(batch)).backward()
        clip_grad_norm_(weights, GRADIENT_NORM)
        optimiser.step()
        schedule.step()
        optimiser.zero_grad()


def _batches(examples: Sequence[Tokens], options: TuneOptions) -> Iterator[list[Tokens]]:
    for epoch in range(options.epochs):
        shuffled = list(examples)
        random.Random(options.seed * 1_000_003 + epoch).shuffle(shuffled)
        for start in range(0, len(shuffled), options.batch_size):
            yield shuffled[start : start + options.batch_size]


def _card(
    examples: Sequence[Example],
    kept: Mapping[str, Sequence[Tokens]],
    losses: Mapping[str, float | None],
    options: TuneOptions,
    base: Path,
    output: Path,
) -> dict[str, Any]:
    counts = {name: len(part) for name, part in kept.items()}
    return {
        "base_model": base.name,
        "base_digest": content_digest(base),
        "model_digest": content_digest(output / "model"),
        "examples_digest": hashlib.sha256("".join(sorted(map(_digest, examples))).encode()).hexdigest(),
        "examples": counts | {"too_long": len(examples) - sum(counts.values())},
        "groups": len({example.group for example in examples}),
        "answer_tokens": sum(len(example.ids) - example.answer_from for part in kept.values() for example in part),
        "loss": dict(losses),
        "options": options.model_dump(mode="json", exclude={"model", "output"}),
        "torch": torch.__version__,
    }


def _digest(example: Example) -> str:
    turns = [(message.role, message.content) for message in example.messages]
    return hashlib.sha256(json.dumps([turns, example.answer]).encode()).hexdigest()
