"""A model in this process: Hugging Face transformers, static batches, every answer held to its grammar while it is written."""

from __future__ import annotations

import copy
import hashlib
import importlib.util
import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import llguidance
import llguidance.hf
import torch
from jinja2 import TemplateError
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    BitsAndBytesConfig,
    DynamicCache,
    GenerationConfig,
    LogitsProcessorList,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    StoppingCriteriaList,
)

from weakbox.language_models.batches import SHORTEST_PREFIX, Prompt, batches, laid_out, shared_prefix
from weakbox.language_models.constraint import Following, Mask, Row
from weakbox.language_models.evidence_grammar import grammar_of
from weakbox.language_models.interface import Answer, AnswerStatus, Choice, Message, Question, Request
from weakbox.language_models.json_schema import SchemaError
from weakbox.language_models.options import LocalOptions
from weakbox.language_models.reply import fault_of, without_thoughts
from weakbox.language_models.weights import content_digest, model_folder
from weakbox.records.errors import ConfigurationError

Result = TypeVar("Result")

COPYABLE_LAYERS = {"full_attention", "sliding_attention"}
"""Kinds of layers whose state of a prefix can be copied in front of padding; recurrent ones would read the padding."""


def load_local(options: LocalOptions) -> LocalModel:
    """The model that ``options`` name, from files on this machine.

    Raises:
        ConfigurationError: no such model, no chat template, no such device, or quantisation without bitsandbytes.
    """
    device = chosen_device(options.device)
    quantisation = quantisation_config(options)
    folder = model_folder(options)
    digest = _weights_digest(folder, options, device)
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        network: Any = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=_dtype(options, device),
            device_map="balanced" if device == "balanced" else None,
            quantization_config=quantisation,
            attn_implementation=options.attention,
            local_files_only=True,
        )
    except (OSError, ValueError, ImportError, KeyError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        msg = f"language model {options.model!r} cannot be loaded from {folder}: {reason}"
        raise ConfigurationError(msg) from error
    if device != "balanced" and quantisation is None:
        network = network.to(device)
    return LocalModel(network, tokenizer, options, digest)


def digest_without_weights(options: LocalOptions) -> str:
    """The digest that the model will have once it is loaded; reads the files, builds nothing.

    Raises:
        ConfigurationError: no such model, or no such device.
    """
    return _digest(_weights_digest(model_folder(options), options, chosen_device(options.device)), options)


def _weights_digest(folder: Path, options: LocalOptions, device: str) -> str:
    """The files and the number format that is asked for: `auto` is what the files say, but float32 on a CPU."""
    number_format = options.dtype if options.dtype != "auto" else ("float32" if device == "cpu" else "auto")
    return f"{content_digest(folder)} {number_format}"


def chosen_device(device: str) -> str:
    """The device to use; ``auto`` is CUDA where there is one.

    Raises:
        ConfigurationError: CUDA is asked for where there is none, or the name is none that torch knows.
    """
    if device in ("auto", "balanced"):
        return device if device == "balanced" else ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        kind = torch.device(device).type
    except RuntimeError as error:
        msg = f"`device: {device}`: expected auto, cpu, cuda, cuda:1 or balanced"
        raise ConfigurationError(msg) from error
    if kind == "cuda" and not torch.cuda.is_available():
        msg = f"`device: {device}`: this machine has no CUDA device that torch can use; set `device: cpu` or `auto`"
        raise ConfigurationError(msg)
    return device


def quantisation_config(options: LocalOptions) -> BitsAndBytesConfig | None:
    """What transformers needs to quantise while loading.

    Raises:
        ConfigurationError: bitsandbytes is not installed.
    """
    if options.quantisation == "none":
        return None
    if importlib.util.find_spec("bitsandbytes") is None:
        msg = f"`quantisation: {options.quantisation}` needs the package bitsandbytes; install it, or set `quantisation: none`"
        raise ConfigurationError(msg)
    if options.quantisation == "8bit":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.bfloat16)


def _dtype(options: LocalOptions, device: str) -> str | torch.dtype:
    if options.dtype != "auto":
        return getattr(torch, options.dtype)
    return torch.float32 if device == "cpu" else "auto"


class LocalModel:
    """A causal language model with a chat template. Not for several threads at once.

    ``digest`` identifies the files (or what the caller says about a model that has none) and the decoding parameters.
    """

    def __init__(self, network: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, options: LocalOptions, digest: str) -> None:
        if not tokenizer.chat_template:
            msg = f"language model {options.model!r} has no chat template: an instruct model is needed"
            raise ConfigurationError(msg)
        self.name = options.model
        self.options = options
        self._files_digest = digest
        self.digest = _digest(digest, options)
        self._network = network.eval()
        self._tokenizer = tokenizer
        self._ends = _end_tokens(network, tokenizer)
        self._padding = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else min(self._ends)
        self._vocabulary = int(network.get_output_embeddings().weight.shape[0])
        self._grammar_tokenizer = llguidance.hf.from_tokenizer(tokenizer, n_vocab=self._vocabulary, eos_token=sorted(self._ends))
        network.generation_config = GenerationConfig(eos_token_id=sorted(self._ends), pad_token_id=self._padding)
        self._context = options.context_length or _context_of(network)
        self._rows = options.batch_size
        self._prefixes: dict[tuple[int, ...], DynamicCache] = {}
        self._reserved = _reserved_words(tokenizer)
        self._takes_system = _takes_system(tokenizer)

    @property
    def settings(self) -> dict[str, Any]:
        """How batches are made now, for measurements."""
        return {
            "batch_size": self._rows,
            "batch_tokens": self.options.batch_tokens,
            "reuse_prefix": self.options.reuse_prefix and self._can_copy_prefix(),
            "device": str(self._network.device),
            "dtype": str(self._network.dtype),
            "quantisation": self.options.quantisation,
            "parameters": self._network.num_parameters(),
        }

    def with_options(self, **changes: Any) -> LocalModel:
        """The same weights under other batch options (device, dtype and quantisation stay as they are)."""
        return LocalModel(self._network, self._tokenizer, self.options.model_copy(update=changes), self._files_digest)

    def close(self) -> None:
        """Give the weights' memory back. The model answers nothing afterwards."""
        self._prefixes.clear()
        self._network = None
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    # -- answers ------------------------------------------------------------------------------------------------------

    def answer(self, requests: Sequence[Request]) -> Iterator[Answer]:
        """One answer a request, batch by batch, the longest prompts first."""
        if self.options.temperature:
            torch.manual_seed(self.options.seed)
        prompts: dict[tuple[Message, ...], list[Prompt]] = defaultdict(list)
        for place, request in enumerate(requests):
            prompt = self._prompt(place, request.messages, request.maximum_tokens)
            if prompt is None:
                cause = f"the prompt does not fit into {self._context} tokens"
                yield Answer(key=request.key, status=AnswerStatus.TRUNCATED, cause=cause, is_too_long=True)
            else:
                prompts[request.messages[:1]].append(prompt)
        for alike in prompts.values():
            yield from self._answer_alike(requests, alike)

    def _answer_alike(self, requests: Sequence[Request], prompts: Sequence[Prompt]) -> Iterator[Answer]:
        """Answers to prompts that begin with the same message."""
        prefix = self._prefix_for([prompt.tokens for prompt in prompts])
        for batch in batches(prompts, self._rows, self.options.batch_tokens):
            yield from self._answer_batch(requests, batch, prefix)

    def _answer_batch(self, requests: Sequence[Request], batch: Sequence[Prompt], prefix: tuple[int, ...]) -> Iterator[Answer]:
        """Answers to a batch; one that does not fit the memory is done in halves, and later ones are smaller."""
        if len(batch) > self._rows:
            for part in _parts(batch, self._rows):
                yield from self._answer_batch(requests, part, prefix)
            return
        answers = within_memory(lambda: self._generate([requests[prompt.place] for prompt in batch], batch, prefix))
        if answers is not None:
            yield from answers
        elif len(batch) == 1:
            yield Answer(key=requests[batch[0].place].key, status=AnswerStatus.FAILED, cause="out of memory with a batch of one")
        else:
            self._rows = len(batch) // 2
            yield from self._answer_batch(requests, batch, prefix)

    def _generate(self, requests: Sequence[Request], batch: Sequence[Prompt], prefix: tuple[int, ...]) -> list[Answer]:
        rows = [self._row(request, prompt) for request, prompt in zip(requests, batch, strict=True)]
        mask = Mask(rows, self._vocabulary)
        tokens, attention = laid_out(batch, len(prefix), self._padding)
        if not all(row.is_done for row in rows):
            with torch.no_grad():
                self._network.generate(
                    self._tensor(tokens),
                    attention_mask=self._tensor(attention),
                    past_key_values=self._copied(prefix, len(batch)),
                    generation_config=self._generation(max(prompt.room for prompt in batch)),
                    logits_processor=LogitsProcessorList([mask]),
                    stopping_criteria=StoppingCriteriaList([Following(rows)]),
                )
        measured = zip(requests, batch, rows, mask.allowed_mass(), strict=True)
        return [self._answer_of(request, prompt, row, mass) for request, prompt, row, mass in measured]

    def _generation(self, room: int) -> GenerationConfig:
        draws = {"do_sample": True, "temperature": self.options.temperature, "top_k": 0, "top_p": 1.0} if self.options.temperature else {}
        return GenerationConfig(max_new_tokens=room, eos_token_id=sorted(self._ends), pad_token_id=self._padding, **draws)

    def _row(self, request: Request, prompt: Prompt) -> Row:
        try:
            grammar = grammar_of(request)
        except SchemaError as error:
            return Row(None, prompt.room, self._ends, unusable=str(error))
        if grammar is None:
            return Row(None, prompt.room, self._ends)
        matcher = llguidance.LLMatcher(self._grammar_tokenizer, llguidance.LLMatcher.grammar_from_lark(grammar), log_level=0)
        return Row(matcher, prompt.room, self._ends)

    def _answer_of(self, request: Request, prompt: Prompt, row: Row, mass: float | None) -> Answer:
        text = self._grammar_tokenizer.decode_bytes(row.tokens).decode("utf-8", errors="replace")
        status, cause = row.status, row.cause
        if status is AnswerStatus.COMPLETE:
            text = without_thoughts(text)
            cause = fault_of(text, request)
            status = AnswerStatus.INVALID if cause else status
        return Answer(
            key=request.key,
            status=status,
            text=text,
            cause=cause,
            prompt_tokens=len(prompt.tokens),
            completion_tokens=len(row.tokens),
            allowed_mass=mass,
            is_too_long=status is AnswerStatus.TRUNCATED and prompt.room < request.maximum_tokens,
        )

    # -- prompts ------------------------------------------------------------------------------------------------------

    def _prompt(self, place: int, messages: Sequence[Message], maximum_tokens: int) -> Prompt | None:
        """The prompt's tokens; ``None`` where not even a short answer fits behind it."""
        tokens = self._tokens(messages)
        room = min(maximum_tokens, self._context - len(tokens))
        return Prompt(place=place, tokens=tokens, room=room) if room >= min(maximum_tokens, 1) else None

    def _tokens(self, messages: Sequence[Message]) -> tuple[int, ...]:
        turns = [{"role": message.role, "content": self._harmless(message.content)} for message in messages]
        if not self._takes_system:
            turns = _system_into_user(turns)
        rendered: Any = self._tokenizer.apply_chat_template(
            turns, add_generation_prompt=True, tokenize=True, return_dict=True, **self.options.template_options
        )
        return tuple(rendered["input_ids"])

    def prompt_tokens(self, messages: Sequence[Message]) -> tuple[int, ...]:
        """What the model reads when it is asked."""
        return self._tokens(messages)

    def answer_tokens(self, answer: str) -> tuple[int, ...]:
        """What the model writes when it answers so: the answer's tokens and the end of the turn."""
        return (*self._option(answer), *_turn_end(self._tokenizer, self._ends))

    def _harmless(self, content: str) -> str:
        """A report that spells a turn marker of the chat template must not end its turn: the marker is broken by a space."""
        content = content.encode("utf-8", errors="replace").decode("utf-8")
        for word in self._reserved:
            if word in content:
                content = content.replace(word, f"{word[:1]} {word[1:]}")
        return content

    # -- shared prefix ------------------------------------------------------------------------------------------------

    def _can_copy_prefix(self) -> bool:
        config = self._network.config.get_text_config()
        return set(getattr(config, "layer_types", None) or ["full_attention"]) <= COPYABLE_LAYERS

    def _prefix_for(self, prompts: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
        """The tokens whose state is computed once; a state that is there already is taken where it is about as long."""
        if not self.options.reuse_prefix or not self._can_copy_prefix():
            return ()
        shared = shared_prefix(prompts)
        for known in self._prefixes:
            if shared[: len(known)] == known and (len(prompts) == 1 or len(known) >= 0.8 * len(shared)):
                return known
        return shared if len(shared) >= SHORTEST_PREFIX and len(prompts) > 1 else ()

    def _copied(self, prefix: tuple[int, ...], rows: int) -> DynamicCache | None:
        if not prefix:
            return None
        if prefix not in self._prefixes:
            self._prefixes = {prefix: self._state_of(prefix)}  # one at a time: it lies in the accelerator's memory
        state = copy.deepcopy(self._prefixes[prefix])
        if rows > 1:
            state.batch_repeat_interleave(rows)
        return state

    def _state_of(self, prefix: tuple[int, ...]) -> DynamicCache:
        with torch.no_grad():
            state = DynamicCache(config=self._network.config.get_text_config())
            self._network(self._tensor([list(prefix)]), past_key_values=state, use_cache=True, logits_to_keep=1)
            return state

    def _tensor(self, rows: list[list[int]]) -> torch.Tensor:
        return torch.tensor(rows, device=self._network.device)

    # -- choices ------------------------------------------------------------------------------------------------------

    def choose(self, questions: Sequence[Question]) -> Iterator[Choice]:
        """Each option's probability as the whole answer (its tokens and the end of the turn), over all options."""
        prompts = [(place, self._prompt(place, question.messages, 16)) for place, question in enumerate(questions)]
        for place, prompt in prompts:
            if prompt is None:
                yield Choice(key=questions[place].key, cause=f"the prompt does not fit into {self._context} tokens")
        fitting = [prompt for _place, prompt in prompts if prompt is not None]
        for batch in batches(fitting, self._rows, self.options.batch_tokens):
            yield from self._choose_batch(questions, batch)

    def _choose_batch(self, questions: Sequence[Question], batch: Sequence[Prompt]) -> Iterator[Choice]:
        if len(batch) > self._rows:
            for part in _parts(batch, self._rows):
                yield from self._choose_batch(questions, part)
            return
        scores = within_memory(lambda: self._scores([questions[prompt.place] for prompt in batch], batch))
        if scores is not None:
            for prompt, row in zip(batch, scores, strict=True):
                yield Choice(key=questions[prompt.place].key, probabilities=tuple(row.softmax(dim=0).tolist()))
        elif len(batch) == 1:
            yield Choice(key=questions[batch[0].place].key, cause="out of memory with a batch of one")
        else:
            self._rows = len(batch) // 2
            yield from self._choose_batch(questions, batch)

    def _scores(self, questions: Sequence[Question], batch: Sequence[Prompt]) -> list[torch.Tensor]:
        """Log-probabilities of each question's options: the prompts are read once, the options behind copies of their state."""
        tokens, attention = laid_out(batch, 0, self._padding)
        mask = self._tensor(attention)
        options = [[(*self._option(option), min(self._ends)) for option in question.options] for question in questions]
        owners = [place for place, listed in enumerate(options) for _option in listed]
        flat = [option for listed in options for option in listed]
        with torch.no_grad():
            state = DynamicCache(config=self._network.config.get_text_config())
            first = self._network(
                self._tensor(tokens),
                attention_mask=mask,
                position_ids=_positions(mask),
                past_key_values=state,
                use_cache=True,
                logits_to_keep=1,
            ).logits[:, -1]
            state.batch_select_indices(torch.tensor(owners, device=self._network.device))
            scores = self._option_scores(flat, first[owners], mask[owners], state)
        return list(scores.split([len(listed) for listed in options]))

    def _option_scores(
        self, options: Sequence[tuple[int, ...]], first: torch.Tensor, mask: torch.Tensor, state: DynamicCache
    ) -> torch.Tensor:
        """``first``: logits behind each option's prompt. Returns one log-probability an option."""
        width = max(len(option) for option in options)
        padded = self._tensor([[*option, *[self._padding] * (width - len(option))] for option in options])
        is_own = self._tensor([[1] * len(option) + [0] * (width - len(option)) for option in options])
        whole = torch.cat([mask, is_own[:, :-1]], dim=1)
        later = self._network(
            padded[:, :-1],
            attention_mask=whole,
            position_ids=_positions(whole)[:, mask.shape[1] :],
            past_key_values=state,
            use_cache=True,
        ).logits
        logits = torch.cat([first.unsqueeze(1), later], dim=1).float()
        chosen = logits.log_softmax(dim=-1).gather(2, padded.unsqueeze(-1)).squeeze(-1)
        return (chosen * is_own).sum(dim=1).cpu()

    def _option(self, option: str) -> tuple[int, ...]:
        return tuple(self._tokenizer(option, add_special_tokens=False)["input_ids"])


def _parts(batch: Sequence[Prompt], rows: int) -> list[Sequence[Prompt]]:
    return [batch[start : start + rows] for start in range(0, len(batch), rows)]


def _positions(mask: torch.Tensor) -> torch.Tensor:
    return (mask.cumsum(dim=-1) - 1).clamp(min=0)


def within_memory(work: Callable[[], Result]) -> Result | None:
    """What ``work`` gives; ``None`` where memory ran out (torch says so on CPU by the text of a RuntimeError alone)."""
    try:
        return work()
    except (RuntimeError, MemoryError) as error:
        if not _is_out_of_memory(error):
            raise
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return None


def _is_out_of_memory(error: RuntimeError | MemoryError) -> bool:
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return any(words in str(error) for words in ("can't allocate memory", "not enough memory", "CUDA out of memory"))


def _digest(weights: str, options: LocalOptions) -> str:
    """What decides an answer besides the request: files, number format, quantisation, template and decoding parameters."""
    deciding = options.model_dump(include={"quantisation", "template_options", "temperature", "seed", "context_length"})
    return hashlib.sha256(f"{weights} {json.dumps(deciding, sort_keys=True, default=str)}".encode()).hexdigest()


def _end_tokens(network: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> frozenset[int]:
    stated = network.generation_config.eos_token_id if network.generation_config is not None else None
    ends = stated if isinstance(stated, list) else [stated]
    found = frozenset(token for token in [*ends, tokenizer.eos_token_id] if token is not None)
    if not found:
        raise ConfigurationError("the language model names no token that ends an answer (eos_token)")
    return found


def _turn_end(tokenizer: PreTrainedTokenizerFast, ends: frozenset[int]) -> tuple[int, ...]:
    """The tokenizer's own end, which is what chat templates close a turn with; else the first that the model knows."""
    return (tokenizer.eos_token_id if tokenizer.eos_token_id in ends else min(ends),)


def _context_of(network: PreTrainedModel) -> int:
    return int(getattr(network.config.get_text_config(), "max_position_embeddings", None) or 4096)


def _reserved_words(tokenizer: PreTrainedTokenizerFast) -> tuple[str, ...]:
    """Tokens that stand for themselves in a text, such as turn markers."""
    added = {*tokenizer.get_added_vocab(), *tokenizer.all_special_tokens}
    return tuple(sorted(word for word in added if len(word) > 2 and not word.isalnum() and not word.isspace()))


def _takes_system(tokenizer: PreTrainedTokenizerFast) -> bool:
    """Whether the chat template has a place for a system turn (Gemma's, for one, refuses it)."""
    turns = [{"role": "system", "content": "a"}, {"role": "user", "content": "b"}]
    try:
        tokenizer.apply_chat_template(turns, tokenize=False)
    except TemplateError:
        return False
    return True


def _system_into_user(turns: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    """System turns, put in front of the user turn that follows."""
    merged: list[dict[str, str]] = []
    waiting = ""
    for turn in turns:
        if turn["role"] == "system":
            waiting += turn["content"] + "\n\n"
        else:
            merged.append({"role": turn["role"], "content": waiting + turn["content"]})
            waiting = ""
    return merged
