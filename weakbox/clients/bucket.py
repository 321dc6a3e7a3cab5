"""A public bucket over HTTPS: list-objects-v2 as Amazon S3 and Google Cloud Storage both answer it. No credentials."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote
from xml.etree import ElementTree

from weakbox.clients.addresses import shown
from weakbox.clients.client import Checksum
from weakbox.clients.connection import Connection
from weakbox.clients.content import checksum
from weakbox.records.errors import InputError
from weakbox.records.record import record


@record
class BucketObject:
    """One object: its key, exact size, and the MD5 that a plain (not multipart) upload has as its ETag."""

    key: str
    size_bytes: int
    checksum: Checksum | None


def object_url(bucket_url: str, key: str) -> str:
    """The address of an object."""
    return f"{bucket_url}/{quote(key)}"


def list_objects(connection: Connection, bucket_url: str, prefix: str) -> Iterator[BucketObject]:
    """All objects below a prefix, page by page.

    Raises:
        InputError: not reachable, or no usable answer.
    """
    parameters = {"list-type": "2", "prefix": prefix}
    while True:
        root = _parsed(connection.get_text(f"{bucket_url}/", parameters), bucket_url)
        for item in root.iter("Contents"):
            found = _object(item)
            if found is None:
                msg = f"{shown(bucket_url)}: the listing has an object without key or size"
                raise InputError(msg)
            if not found.key.endswith("/"):
                yield found
        token = root.findtext("NextContinuationToken") or ""
        if (root.findtext("IsTruncated") or "").strip() != "true":
            return
        if not token or token == parameters.get("continuation-token"):
            msg = f"{shown(bucket_url)}: the listing says that it goes on, but not where"
            raise InputError(msg)
        parameters["continuation-token"] = token


def _parsed(text: str, bucket_url: str) -> ElementTree.Element:
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        msg = f"{shown(bucket_url)} answered with a document type where a listing was expected; check the bucket's address"
        raise InputError(msg)
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        msg = f"{shown(bucket_url)} did not answer with a bucket listing; check the bucket's address"
        raise InputError(msg) from error
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    if root.tag != "ListBucketResult":
        msg = f"{shown(bucket_url)} answered with <{root.tag}>, not with a bucket listing"
        raise InputError(msg)
    return root


def _object(item: ElementTree.Element) -> BucketObject | None:
    key, size = item.findtext("Key"), (item.findtext("Size") or "").strip()
    if not key or not size.isdigit():
        return None
    return BucketObject(key=key, size_bytes=int(size), checksum=checksum("md5", item.findtext("ETag") or ""))
