"""How politely and how patiently bytes are fetched."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class TransferOptions(BaseModel):
    """Limits of the transfer. Unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    parallel: int = Field(default=4, ge=1, le=64, description="Files fetched at the same time.")
    minimum_interval_s: float | None = Field(
        default=None, ge=0, description="Shortest time between two request starts to one host; empty: what the protocol holds for polite."
    )
    connect_timeout_s: float = Field(default=20.0, gt=0)
    read_timeout_s: float = Field(default=60.0, gt=0, description="Longest silence within one answer.")
    minimum_bytes_per_s: float = Field(default=1024.0, ge=0, description="Slower than this over `stall_window_s`: cut and resumed.")
    stall_window_s: float = Field(default=60.0, gt=0)
    attempts: int = Field(default=6, ge=1, le=100, description="Attempts in a row that bring a file no further.")
    backoff_s: float = Field(default=1.0, ge=0, description="First wait between attempts; doubles each time, with seeded jitter.")
    longest_backoff_s: float = Field(default=120.0, ge=0)
    longest_retry_after_s: float = Field(default=600.0, ge=0, description="A file whose server asks for a longer wait is given up.")
    seed: int = Field(default=0, description="Seed of the jitter.")
    reserve_bytes: int = Field(default=1 << 30, ge=0, description="Disk space that stays free.")
    unzip_factor: float = Field(default=1.5, ge=1, description="Assumed growth of an archive whose unpacked size is not known.")
    largest_archive_ratio: float = Field(default=200.0, gt=1, description="An archive that grows more than this is refused.")
    largest_unpacked_bytes: int = Field(default=200 << 30, gt=0)
    largest_entry_count: int = Field(default=200_000, gt=0)
    user_agent: str = Field(default="weakbox-collect")
