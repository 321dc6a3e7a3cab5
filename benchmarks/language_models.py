"""Reading reports with a language model: batches and a shared prefix against one by one, and answers from the cache.

On a CUDA device the architecture is that of an 8B instruct model with random weights, otherwise a small one: speed does
not depend on what the weights know. Constrained decoding is on, as in use; random weights write answers of random length.

``python -m benchmarks.language_models --out FILE.json`` measures alone, on a machine without network.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import cache, partial
from pathlib import Path
from typing import Any

import llm
from benchmarks.measured import Figure, best_of, machine, one_core
from benchmarks.reading import mixed_reports
from weakbox.extractors.language_model import LanguageModelExtractor, request_for
from weakbox.extractors.rules import RulesExtractor
from weakbox.extractors.targets import answer_text
from weakbox.extractors.verification import Claim
from weakbox.language_models.cache import CachedModel
from weakbox.records.report import Report

REPEATS = 3
LONGEST = 120
EIGHT_B = {
    "vocab_size": 128_256,
    "hidden_size": 4096,
    "intermediate_size": 14_336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
}
"""The sizes of Llama 3.1 8B (its published ``config.json``)."""
SMALL = {
    "vocab_size": 8192,
    "hidden_size": 128,
    "intermediate_size": 256,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}
CONTEXT = 16_384
TEMPLATE = (
    "{% for message in messages %}<|start|>{{ message['role'] }}\n{{ message['content'] }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant\n{% endif %}"
)


def measure(reports: int) -> Iterator[Figure]:
    """Figures: ``reports`` reports from the cache, and a few with a model in this process (extra ``llm``)."""
    yield from cached(reports)
    for name, measured in local(reports).items():
        yield Figure(
            what=f"Local model, {measured['settings']['parameters'] / 1e6:,.0f} M parameters on {measured['settings']['device']}, {name}",
            value=f"{measured['tokens_a_second']:,.0f} tokens/s, {measured['reports_an_hour']:,.0f} reports/h",
            compared_with=f"{measured['requests']} of our prompts, constrained, {measured['settings']['dtype']}",
        )


# -- the cache ---------------------------------------------------------------------------------------------------------


class KnowingModel:
    """Answers at once with what the rules read, so that the cache holds real answers."""

    name = digest = "knowing"

    def answer(self, requests: Sequence[llm.Request]) -> Iterator[llm.Answer]:
        """One answer a request."""
        rules = RulesExtractor()
        for request in requests:
            organ, report_type = next(kind for kind in _kinds() if request.version == request_for(_report("", *kind)).version)
            text = _answer_about(_report(request.source, organ, report_type), rules)
            yield llm.Answer(key=request.key, status=llm.AnswerStatus.COMPLETE, text=text)

    def choose(self, questions: Sequence[llm.Question]) -> Iterator[llm.Choice]:
        """None is asked."""
        yield from ()

    def close(self) -> None:
        """Nothing to free."""


def _report(text: str, organ: str, report_type: Any) -> Report:
    return Report(report_id="", patient_id=None, report_type=report_type, text=text, organ=organ, language="auto")


def _answer_about(report: Report, rules: RulesExtractor) -> str:
    extraction = rules.extract(report)
    claims = []
    for index, values in [(None, extraction.exam), *((item.index, item.values) for item in extraction.items)]:
        for name, leaf in values.items():
            start, end = min(span.start for span in leaf.evidence), max(span.end for span in leaf.evidence)
            if end - start <= LONGEST:
                claims.append(Claim(field=name, value=leaf.value, quote=report.text[start:end], item=index))
    return answer_text(claims, extraction, [item.index for item in extraction.items])


@cache
def _kinds() -> tuple[tuple[str, Any], ...]:
    return tuple(dict.fromkeys((str(report.organ), report.report_type) for report in mixed_reports(400)))


def cached(count: int) -> Iterator[Figure]:
    """Reports a second where every answer is known: in the cache alone, and through the whole extractor."""
    reports = mixed_reports(count)
    requests = [request_for(report) for report in reports]
    with tempfile.TemporaryDirectory() as folder, one_core():
        model = CachedModel(KnowingModel(), Path(folder) / "answers.sqlite")
        extractor = LanguageModelExtractor(model)
        list(extractor.prefetch(reports))
        first = best_of(1, lambda: [extractor.extract(report) for report in reports])
        answers = best_of(REPEATS, lambda: list(model.answer(requests)))
        again = best_of(REPEATS, lambda: [extractor.extract(report) for report in reports])
        model.close()
    yield Figure(
        what=f"Reading {count:,} reports whose answers are in the cache, verified before, one core",
        value=f"{count / again:,.0f} reports/s",
        compared_with=f"verifying the answers the first time: {count / first:,.0f} reports/s",
        aim="at least 2,000",
    )
    yield Figure(what="- the answers alone from the cache", value=f"{count / answers:,.0f} answers/s")


# -- a model in this process -------------------------------------------------------------------------------------------


def local(reports: int) -> dict[str, dict[str, Any]]:
    """Measurements by variant: batched and one by one, with and without the shared prefix. Empty without the extra ``llm``."""
    try:
        import torch
        from transformers import LlamaConfig, LlamaForCausalLM

        from weakbox.language_models.local import LocalModel
        from weakbox.language_models.measure import measure_variants
        from weakbox.language_models.options import LocalOptions
    except ModuleNotFoundError:
        return {}
    on_gpu = torch.cuda.is_available()
    tokenizer = trained_tokenizer(32_000 if on_gpu else 4_000)
    torch.manual_seed(0)
    sizes = EIGHT_B if on_gpu else SMALL
    ends = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id, "bos_token_id": None}
    config = LlamaConfig(**sizes, max_position_embeddings=CONTEXT, dtype="bfloat16" if on_gpu else "float32", **ends)
    with torch.device("cuda" if on_gpu else "cpu"):
        network = LlamaForCausalLM._from_config(config, dtype=torch.bfloat16 if on_gpu else torch.float32)
    options = LocalOptions(model="random weights", temperature=1.0, batch_size=32 if on_gpu else 8, batch_tokens=400_000)
    model = LocalModel(network, tokenizer, options, "random")
    chosen = [report for report in mixed_reports(reports) if report.organ == "prostate" and report.report_type.value == "radiology"]
    number, longest = (64, 1024) if on_gpu else (6, 192)
    requests = [request_for(report, longest) for report in chosen[:number]]
    if not on_gpu:
        torch.set_num_threads(1)  # so small a model gains nothing from more, and loses on a busy machine
    return {name: asdict(measured) for name, measured in measure_variants(model, requests).items()}


def trained_tokenizer(tokens: int) -> Any:
    """Byte-level BPE trained on our own prompts and reports: nothing is fetched."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=tokens,
        special_tokens=["<pad>", "<|start|>", "<|end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    texts = (message.content for report in mixed_reports(400) for message in request_for(report).messages)
    tokenizer.train_from_iterator(texts, trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<|end|>")
    fast.chat_template = TEMPLATE
    return fast


def main() -> None:
    """Measure and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--reports", type=int, default=2000, help="reports for the cache figures")
    options = parser.parse_args()
    written = partial(json.dumps, indent=1, default=str)
    result: dict[str, Any] = {"machine": machine(), "cache": [asdict(figure) for figure in cached(options.reports)]}
    result["local"] = local(options.reports)
    options.out.write_text(written(result) + "\n", encoding="utf-8")
    print(written(result))


if __name__ == "__main__":
    main()
