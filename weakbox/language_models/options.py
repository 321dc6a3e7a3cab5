"""What can be chosen about a back end: validated at the edge, frozen, unknown keys refused."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from weakbox.runtime.config import Settings


class LocalOptions(Settings):
    """A model that runs in this process, through Hugging Face transformers (extra ``llm``)."""

    model: str = Field(min_length=1, description="Folder of an instruct model, or its name in the local Hugging Face cache.")
    revision: str | None = Field(default=None, description="Revision of a named model; the cache's main one where not given.")
    allow_download: bool = Field(default=False, description="Fetch a named model from the hub; otherwise only files on this machine.")
    device: str = Field(default="auto", description="`auto` (CUDA where present), `cpu`, `cuda`, `cuda:1`, or `balanced` (all GPUs).")
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = Field(default="auto", description="Number format of the weights.")
    quantisation: Literal["none", "8bit", "4bit"] = Field(default="none", description="Quantise while loading; needs bitsandbytes.")
    attention: str | None = Field(default=None, description="transformers' `attn_implementation`, for example `sdpa`.")
    template_options: Mapping[str, Any] = Field(
        default_factory=dict, description="Handed to the chat template, for example `enable_thinking: false`."
    )
    batch_size: int = Field(default=16, ge=1, description="Most requests that are decoded together; halved when memory runs out.")
    batch_tokens: int = Field(default=65536, ge=1, description="Most tokens (prompt and answer, with padding) of one batch.")
    reuse_prefix: bool = Field(default=True, description="Compute the part that all prompts share once, and copy it into each batch.")
    temperature: float = Field(default=0.0, ge=0.0, description="0 takes the likeliest token; above 0 draws, by the seed.")
    seed: int = Field(default=0, ge=0, description="Seed of the draws.")
    context_length: int | None = Field(default=None, ge=16, description="Tokens of prompt and answer; the model's own where not given.")


class ServerOptions(Settings):
    """A server that speaks the OpenAI dialect of chat completions. There is no default address."""

    url: str = Field(min_length=1, description="Base address, for example `http://127.0.0.1:8000/v1`.")
    model: str = Field(min_length=1, description="The model's name at the server.")
    revision: str = Field(default="", description="Your own name for what runs behind that model's name; part of the cache's key.")
    allow_remote: bool = Field(default=False, description="Permit an address outside this machine: reports are patient data.")
    api_key_variable: str | None = Field(default=None, description="Environment variable that holds the API key.")
    concurrency: int = Field(default=8, ge=1, le=1024, description="Requests under way at once.")
    connect_timeout_s: float = Field(default=5.0, gt=0, description="Longest wait for a connection.")
    timeout_s: float = Field(default=300.0, gt=0, description="Longest time for one whole answer, however slowly it trickles.")
    retries: int = Field(default=4, ge=0, le=20, description="Further tries after 429, 5xx, a timeout or a reset.")
    backoff_s: float = Field(default=0.5, ge=0, description="First wait before a further try; doubles, with jitter.")
    longest_wait_s: float = Field(default=60.0, ge=0, description="Longest wait before a further try, whatever Retry-After says.")
    temperature: float = Field(default=0.0, ge=0.0, description="Sampling temperature.")
    seed: int = Field(default=0, ge=0, description="Seed, for servers that have one.")
    extra_body: Mapping[str, Any] = Field(
        default_factory=dict, description="Further keys of each request's body, for example `chat_template_kwargs`."
    )


class TuneOptions(Settings):
    """How a model is tuned on reviewed answers (LoRA)."""

    model: str = Field(min_length=1, description="Folder of an instruct model, or its name in the local Hugging Face cache.")
    output: Path = Field(description="New folder for the adapter, the merged model and its card.")
    device: str = Field(default="auto", description="`auto` (CUDA where present), `cpu`, `cuda`, `cuda:1`.")
    dtype: Literal["auto", "bfloat16", "float32"] = Field(default="auto", description="Number format of the weights.")
    epochs: int = Field(default=3, ge=1, description="How often every example is seen.")
    batch_size: int = Field(default=8, ge=1, description="Examples a step; computed one after the other, so memory stays that of one.")
    learning_rate: float = Field(default=2e-4, gt=0, description="Highest learning rate; rises over the first steps, then falls to 0.")
    rank: int = Field(default=16, ge=1, description="Rank of the adapters.")
    longest: int = Field(default=8192, ge=64, description="Tokens of prompt and answer; longer examples are left out and counted.")
    validation_share: float = Field(default=0.15, ge=0.0, lt=1.0, description="Share of the examples, by whole hospitals or patients.")
    seed: int = Field(default=0, ge=0, description="Seed of the order, the split and the adapters' first weights.")
