"""The text layer of PDF documents that messages and DICOM objects carry."""

from __future__ import annotations

import io
import logging
import struct
import zlib

PDF_START = b"%PDF"
PDF = "application/pdf"
UNREADABLE, WITHOUT_TEXT = "pdf_unreadable", "pdf_without_text"
"""Reasons: damaged, encrypted or of a kind that cannot be read; pages without a text layer, as a scanner makes them."""

BESIDE_TEXT = "pdf_beside_text"
"""Reason: the message has the report's words as text too, and the PDF is its printed form."""
_MORE = 2


def pdf_text(content: bytes) -> tuple[str, str]:
    """The words of a PDF, pages apart by a blank line, and an empty reason; or no words and the reason why.

    Words come in the order in which the document draws them; columns may run into each other. Nothing of the document is logged.
    """
    from pypdf import PdfReader
    from pypdf.errors import DependencyError, PyPdfError

    logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # its remarks may quote the document
    try:
        pages = [page.extract_text() for page in PdfReader(io.BytesIO(content)).pages]
    except (
        *(PyPdfError, DependencyError, zlib.error, struct.error, NotImplementedError, RecursionError, OSError),
        # what pypdf raises on damaged objects
        *(ValueError, LookupError, TypeError, AttributeError, AssertionError, ArithmeticError),
    ):
        return "", UNREADABLE
    words = "\n\n".join(page.strip() for page in pages if page.strip())
    return (words, "") if words else ("", WITHOUT_TEXT)


def says_more(words: str, beside: str) -> bool:
    """Whether a PDF is more than the printed form of the words that are sent beside it ("see the attached report")."""
    return len(words) > _MORE * len(beside.strip())
