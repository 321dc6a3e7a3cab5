"""pydicom without its remarks."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import pydicom.config


@contextmanager
def silence() -> Iterator[None]:
    """pydicom's remarks quote values of the file, which may be patient data: none is written, none is a warning."""
    logger, validation = pydicom.config.logger, pydicom.config.settings.reading_validation_mode
    was_disabled = logger.disabled
    logger.disabled = True
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.disabled = was_disabled
        pydicom.config.settings.reading_validation_mode = validation
