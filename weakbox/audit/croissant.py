"""Croissant (MLCommons, version 1.0) metadata of a joined set: JSON-LD that search engines and loaders read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from weakbox.records.record import record

CONFORMS_TO = "http://mlcommons.org/croissant/1.0"
CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
_TYPES = {"int": "sc:Integer", "float": "sc:Float", "text": "sc:Text", "bool": "sc:Boolean"}


@record
class SetFile:
    """A table of the set, as Croissant names it."""

    name: str
    content_type: str
    sha256: str
    bytes: int


def croissant(
    name: str, *, version: str, description: str, sources: Sequence[Mapping[str, str]], table: SetFile, columns: Mapping[str, str]
) -> dict[str, Any]:
    """The metadata document.

    ``sources`` are the data sets inside, each with ``title``, ``licence``, ``licence_url``, ``citation`` and ``homepage``;
    ``columns`` are the manifest's columns with their kind (``int``, ``float``, ``text``, ``bool``).
    """
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "name": name,
        "version": version,
        "description": description,
        "conformsTo": CONFORMS_TO,
        "license": sorted({_licence(source) for source in sources}),
        "citeAs": " ".join(source["citation"] for source in sources),
        "isBasedOn": [
            {
                "@type": "sc:Dataset",
                "name": source["title"],
                "url": source["homepage"],
                "license": source["licence_url"] or source["licence"],
            }
            for source in sources
        ],
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": table.name,
                "name": table.name,
                "contentUrl": table.name,
                "encodingFormat": table.content_type,
                "contentSize": f"{table.bytes} B",
                "sha256": table.sha256,
            },
            {"@type": "cr:FileSet", "@id": "images", "name": "images", "encodingFormat": "image/png", "includes": "public/**/*.png"},
            {"@type": "cr:FileSet", "@id": "volumes", "name": "volumes", "encodingFormat": "application/gzip", "includes": "**/*.nii.gz"},
        ],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": "images-and-labels",
                "name": "images-and-labels",
                "key": {"@id": "images-and-labels/image_id"},
                "field": [_field(column, kind, table) for column, kind in columns.items()],
            }
        ],
    }


def _licence(source: Mapping[str, str]) -> str:
    return source["licence_url"] or source["licence"]


def _field(column: str, kind: str, table: SetFile) -> dict[str, Any]:
    return {
        "@type": "cr:Field",
        "@id": f"images-and-labels/{column}",
        "name": column,
        "dataType": _TYPES[kind],
        "source": {"fileObject": {"@id": table.name}, "extract": {"column": column}},
    }
