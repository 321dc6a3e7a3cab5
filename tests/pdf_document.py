"""The smallest PDF documents with a text layer, written by hand: one text object a page."""

from __future__ import annotations


def pdf_document(*pages: str) -> bytes:
    """A PDF 1.4 document; every line of a page is one line of its text object. A page without words has an empty content stream."""
    count = len(pages)
    kids = " ".join(f"{3 + number} 0 R" for number in range(count))
    objects = ["<< /Type /Catalog /Pages 2 0 R >>", f"<< /Type /Pages /Kids [{kids}] /Count {count} >>"]
    font = f"{3 + 2 * count} 0 R"
    page = f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources << /Font << /F1 {font} >> >> /Contents"
    objects += [f"{page} {3 + count + number} 0 R >>" for number in range(count)]
    objects += [f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream" for stream in map(_stream, pages)]
    objects.append("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>")
    return _numbered(objects)


def _stream(words: str) -> str:
    if not words:
        return ""
    shown = [line.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)") for line in words.split("\n")]
    return "BT /F1 11 Tf 72 720 Td 14 TL " + " ".join(f"({line}) Tj T*" for line in shown) + " ET"


def _numbered(objects: list[str]) -> bytes:
    """Objects, the table of their offsets, and the trailer."""
    content = bytearray(b"%PDF-1.4\n")
    offsets = []
    for number, body in enumerate(objects, 1):
        offsets.append(len(content))
        content += f"{number} 0 obj\n{body}\nendobj\n".encode("cp1252")
    table = "".join(f"{offset:010d} 00000 n \n" for offset in offsets)
    start = len(content)
    content += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}".encode()
    content += f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n".encode()
    return bytes(content)
