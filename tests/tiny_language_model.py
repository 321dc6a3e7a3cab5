"""A real transformers model, far too small to know anything: random weights, a tokenizer trained on a few invented lines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

LINES = (
    "Left peripheral zone, mid-gland: 12 mm lesion, PI-RADS 4. Volume 45 ml, PSA 7,2 ng/ml.",
    '{"lesions": [{"evidence": "PI-RADS 4", "score": 4, "side": "left", "certain": true, "size_mm": 12.5}]}',
    "Linke periphere Zone: Läsion 8 mm. Übrige Drüse unauffällig, kein Nachweis von Knochenmetastasen.",
)
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
TEMPLATE_WITHOUT_SYSTEM = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}" + TEMPLATE


def tiny_tokenizer(template: str | None = TEMPLATE) -> PreTrainedTokenizerFast:
    """Byte-level BPE of 700 tokens with turn markers."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=700,
        special_tokens=["<pad>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(LINES * 20, trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<|im_end|>")
    fast.chat_template = template
    return fast


def tiny_network(tokenizer: PreTrainedTokenizerFast, family: str = "llama", **changes: Any) -> LlamaForCausalLM | Qwen3ForCausalLM:
    """Two layers of 64, weights from seed 0; more logits than the tokenizer has tokens, as real models have."""
    torch.manual_seed(0)
    settings: dict[str, Any] = {
        "vocab_size": 768,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "max_position_embeddings": 4096,
        "initializer_range": 0.2,
        "bos_token_id": None,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        **changes,
    }
    return Qwen3ForCausalLM(Qwen3Config(**settings)) if family == "qwen3" else LlamaForCausalLM(LlamaConfig(**settings))


def save_tiny_model(folder: Path, family: str = "llama", template: str | None = TEMPLATE, **changes: Any) -> Path:
    """A model folder as ``save_pretrained`` makes it."""
    tokenizer = tiny_tokenizer(template)
    tiny_network(tokenizer, family, **changes).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
