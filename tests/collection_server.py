"""A stand-in for NBIA, the ISIC archive, PhysioNet and a bucket, as a process of its own, with faults by a seeded schedule.

``python -m tests.collection_server --port-file FILE --log FILE [--faults SEED] [--port N] [--delay SECONDS]``

What it serves is made from nothing but fixed seeds, so a test knows every byte. Each request is one line of the log, before it is answered.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import io
import json
import random
import re
import socket
import struct
import sys
import threading
import time
import zipfile
from collections import Counter
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

COLLECTION = "Breast-Phantom"
BUCKET = "idc-open-data"
PROJECT = "mammo-phantom/1.0.0"
USER, PASSWORD = "reader", "open sesame"
FAULTY_REQUESTS = 3
"""After so many requests for one address it is served well, so that patience ends well."""
FAULTS = ("reset", "status_500", "status_429", "truncated", "short", "html", "slow", "wrong_bytes", "ignored_range", "wrong_range")
LISTING_FAULTS = ("status_500", "status_429", "html", "reset")
HTML = (
    b"<!DOCTYPE html>\n<html><head><title>Service temporarily unavailable</title></head><body>" + b"please wait " * 100 + b"</body></html>"
)


def bytes_of(name: str, size: int) -> bytes:
    """Fixed pseudo-random bytes."""
    return random.Random(name).randbytes(size)


def dicom(name: str, size: int) -> bytes:
    """Begins like a DICOM file."""
    return bytes(128) + b"DICM" + bytes_of(name, size)


def jpeg(name: str, size: int) -> bytes:
    """Begins and ends like a JPEG."""
    return b"\xff\xd8\xff\xe0" + bytes_of(name, size).replace(b"\xff", b"\xfe") + b"\xff\xd9"


def series_uid(number: int) -> str:
    """The UID of a series."""
    return f"1.3.6.1.4.1.14519.5.2.1.{number + 1}"


@cache
def nbia_images(number: int) -> dict[str, bytes]:
    """The images of an NBIA series by their names in the zip."""
    return {f"{i:08d}.dcm": dicom(f"nbia {number} {i}", 3000 + 500 * i) for i in range(1, 2 + number % 3)}


def nbia_rows(collection: str = COLLECTION, count: int = 12) -> list[dict[str, str | int]]:
    """Answer of ``getSeries``."""
    return [
        {
            "SeriesInstanceUID": series_uid(number),
            "StudyInstanceUID": f"1.3.6.1.4.1.14519.5.2.2.{number // 2}",
            "PatientID": f"P_{number // 2:05d}",
            "Modality": "MG" if number % 4 else "SEG",
            "SeriesDescription": "full mammogram images" if number % 3 else "ROI mask images",
            "BodyPartExamined": "BREAST",
            "Collection": collection,
            "ImageCount": len(nbia_images(number)),
            "FileSize": sum(map(len, nbia_images(number).values())),
            "LicenseName": "CC BY 3.0",
        }
        for number in range(count)
    ]


@cache
def nbia_zip(number: int) -> bytes:
    """A series as NBIA packs it: images, MD5 list, licence."""
    images = nbia_images(number)
    listing = "Filename,MD5Hash\n" + "".join(f"{name},{hashlib.md5(data).hexdigest()}\n" for name, data in images.items())
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in {**images, "md5hashes.csv": listing.encode(), "LICENSE": b"CC BY 3.0\n"}.items():
            archive.writestr(zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0)), data)
    return packed.getvalue()


def isic_images(count: int = 14) -> dict[str, bytes]:
    """Photographs by their archive ids."""
    return {f"ISIC_{number:07d}": jpeg(f"isic {number}", 2000 + 300 * number) for number in range(count)}


def isic_row(host: str, identity: str, data: bytes) -> dict[str, object]:
    """A result of ``images/search``; the address is signed anew each time, as the archive may do."""
    number = int(identity[5:])
    return {
        "isic_id": identity,
        "copyright_license": "CC-BY-NC" if number % 2 else "CC-0",
        "attribution": "Phantom clinic",
        "files": {"full": {"url": f"http://{host}/isic-files/{identity}.jpg?Signature={time.time_ns()}", "size": len(data)}},
        "metadata": {
            "acquisition": {"image_type": "dermoscopic"},
            "clinical": {"diagnosis_1": "Malignant" if number % 5 == 0 else "Benign", "patient_id": f"IP_{number // 2}", "age_approx": 50},
        },
    }


@cache
def bucket_objects() -> dict[str, bytes]:
    """Objects of the bucket by key: five series of several images."""
    return {
        f"{bucket_folder(series)}/{image:08x}-0000-4000-8000-000000000000.dcm": dicom(f"bucket {series} {image}", 2500 + 700 * image)
        for series in range(5)
        for image in range(3 + series)
    }


def bucket_folder(series: int) -> str:
    """The folder of a series."""
    return f"{series:08x}-1111-4111-8111-111111111111"


def index_csv() -> str:
    """A cut-out of IDC's index for the bucket."""
    lines = [
        "collection_id,PatientID,StudyInstanceUID,SeriesInstanceUID,Modality,SeriesDescription,instanceCount,series_size_MB,series_aws_url"
    ]
    for series in range(5):
        names = [name for name in bucket_objects() if name.startswith(bucket_folder(series))]
        size = sum(len(bucket_objects()[name]) for name in names) / 1e6
        place = f"s3://{BUCKET}/{bucket_folder(series)}/*"
        lines.append(
            f"breast_phantom,P{series // 2},1.2.{series // 2},{series_uid(100 + series)},MR,ax {series},{len(names)},{size:.6f},{place}"
        )
    return "\n".join(lines) + "\n"


@cache
def project_files() -> dict[str, bytes]:
    """A PhysioNet project: a label table at the top, images in folders."""
    images = {f"images/study{s}/image{i}.dicom": dicom(f"physionet {s} {i}", 1800) for s in range(4) for i in range(2)}
    return {"labels.csv": b"study_id,birads\nstudy0,BI-RADS 2\n", **images}


def sums() -> str:
    """``SHA256SUMS.txt``."""
    return "".join(f"{hashlib.sha256(data).hexdigest()}  {path}\n" for path, data in sorted(project_files().items()))


class Server(ThreadingHTTPServer):
    """Counts requests and decides on faults."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, log: Path, faults: int | None, delay: float) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.faults = faults
        self.delay = delay
        self._log = log.open("a", encoding="utf-8")
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that are killed tear their connections down; anything else is told."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]

    def note(self, address: str, is_listing: bool, range_header: str, user: str) -> str:
        """Log a request; the fault that it meets, or nothing."""
        with self._lock:
            self._counts[address] += 1
            count = self._counts[address]
            choice = random.Random(f"{self.faults} {address} {count}")
            kinds = LISTING_FAULTS if is_listing else FAULTS
            fault = choice.choice(kinds) if self.faults is not None and count <= FAULTY_REQUESTS and choice.random() < 0.7 else ""
            self._log.write(json.dumps({"address": address, "count": count, "range": range_header, "fault": fault, "user": user}) + "\n")
            self._log.flush()
        return fault


class Handler(BaseHTTPRequestHandler):
    """Answers one connection."""

    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, *_parts: object) -> None:
        """Nothing on the terminal."""

    def do_GET(self) -> None:
        """Every request."""
        try:
            self.answer()
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def answer(self) -> None:
        parts = urlsplit(self.path)
        path, query = unquote(parts.path), {name: values[0] for name, values in parse_qs(parts.query).items()}
        body, kind = self.find(path, query)
        is_listing = kind in ("json", "xml", "sums")
        address = path + ("?" + query["SeriesInstanceUID"] if "SeriesInstanceUID" in query else "")
        if is_listing:
            address += "?" + "&".join(f"{name}={value}" for name, value in sorted(query.items()))
        user = self.headers.get("Authorization", "").removeprefix("Basic ")
        fault = self.server.note(address, is_listing, self.headers.get("Range", ""), base64.b64decode(user).decode().split(":")[0])
        if body is None:
            self.send(404, b"not found", "text/plain")
        elif kind == "sums" and user != base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode():
            self.send(403, b"<html>no access</html>", "text/html")
        elif is_listing:
            self.listing(body, kind, fault)
        elif kind == "zip":
            self.stream(body, fault)
        else:
            self.file(body, fault)

    def find(self, path: str, query: dict[str, str]) -> tuple[bytes | None, str]:
        """The body of an address and its kind."""
        host = self.headers.get("Host", "")
        if path == "/nbia/v4/getSeries":
            return self.series_rows(query), "json"
        if path == "/nbia/v4/getImageWithMD5Hash":
            return nbia_zip(int(query["SeriesInstanceUID"].rpartition(".")[2]) - 1), "zip"
        if path == "/isic/api/v2/images/search/":
            return self.isic_page(host, query), "json"
        if found := re.fullmatch(r"/isic-files/(ISIC_\d+)\.jpg", path):
            return isic_images().get(found[1]), "jpeg"
        if path == f"/bucket/{BUCKET}/":
            return self.bucket_page(query), "xml"
        if path.startswith(f"/bucket/{BUCKET}/"):
            return bucket_objects().get(path.removeprefix(f"/bucket/{BUCKET}/")), "object"
        if path == f"/files/{PROJECT}/SHA256SUMS.txt":
            return sums().encode(), "sums"
        return project_files().get(path.removeprefix(f"/files/{PROJECT}/")), "file"

    def series_rows(self, query: dict[str, str]) -> bytes:
        if set(query) - {"Collection", "Modality", "BodyPartExamined", "PatientID", "format"}:
            return b"Invalid query parameter"
        if query.get("Collection") == "Unfiltered":
            return json.dumps(nbia_rows("Other-Collection")).encode()
        if query.get("Collection") != COLLECTION:
            return b""
        return json.dumps([row for row in nbia_rows() if query.get("Modality", row["Modality"]) == row["Modality"]]).encode()

    def isic_page(self, host: str, query: dict[str, str]) -> bytes:
        start, limit = int(query.get("cursor", "0")), int(query["limit"])
        rows = [isic_row(host, identity, data) for identity, data in isic_images().items()]
        following = f"http://{host}/isic/api/v2/images/search/?collections=212&limit={limit}&cursor={start + limit}"
        return json.dumps({"next": following if start + limit < len(rows) else None, "results": rows[start : start + limit]}).encode()

    def bucket_page(self, query: dict[str, str]) -> bytes:
        keys = [key for key in sorted(bucket_objects()) if key.startswith(query.get("prefix", ""))]
        start = int(query.get("continuation-token", "0"))
        contents = "".join(
            f'<Contents><Key>{key}</Key><Size>{len(bucket_objects()[key])}</Size><ETag>"{hashlib.md5(bucket_objects()[key]).hexdigest()}"</ETag></Contents>'
            for key in keys[start : start + 4]
        )
        more = f"<IsTruncated>true</IsTruncated><NextContinuationToken>{start + 4}</NextContinuationToken>" if start + 4 < len(keys) else ""
        head = '<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        return f"{head}{contents}{more or '<IsTruncated>false</IsTruncated>'}</ListBucketResult>".encode()

    def send(self, code: int, body: bytes, content_type: str, **headers: str) -> None:
        self.send_response(code)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def listing(self, body: bytes, kind: str, fault: str) -> None:
        content_type = {"json": "application/json", "xml": "application/xml", "sums": "text/plain"}[kind]
        if fault == "html" and kind == "json":
            self.send(200, HTML, "text/html")
        elif fault == "reset":
            self.reset()
        elif fault.startswith("status_"):
            self.status(fault)
        else:
            self.send(200, body, content_type)

    def status(self, fault: str) -> None:
        code = int(fault.removeprefix("status_"))
        self.send(code, HTML, "text/html", **({"Retry_After": "0"} if code == 429 else {}))

    def reset(self) -> None:
        """A connection that is torn down, as a proxy does it."""
        self.wfile.flush()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()

    def file(self, body: bytes, fault: str) -> None:
        """A file of a store: length, ETag and Range."""
        etag = f'"{hashlib.md5(body).hexdigest()}"'
        start = self.range_start(etag, len(body)) if fault != "ignored_range" else 0
        if start is None:
            self.send(416, b"", "text/plain", Content_Range=f"bytes */{len(body)}")
            return
        if fault in ("status_500", "status_429"):
            self.status(fault)
            return
        if fault == "html":
            self.send(200, HTML, "text/html")
            return
        part = body[start:]
        if fault == "wrong_bytes" and not self.path.startswith("/isic"):  # nobody tells a checksum of those
            part = part[: len(part) // 2] + bytes([part[len(part) // 2] ^ 0xFF]) + part[len(part) // 2 + 1 :]
        length = len(part) // 2 if fault == "short" else len(part)
        self.send_response(206 if start else 200)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(length))
        self.send_header("ETag", etag)
        if start:
            shown = start + 1 if fault == "wrong_range" else start
            self.send_header("Content-Range", f"bytes {shown}-{len(body) - 1}/{len(body)}")
        self.end_headers()
        self.write(part[:length], fault)

    def range_start(self, etag: str, size: int) -> int | None:
        """Where to begin; ``None`` where the range lies behind the end."""
        found = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if found is None or self.headers.get("If-Range", etag) != etag:
            return 0
        return int(found[1]) if int(found[1]) < size else None

    def write(self, part: bytes, fault: str) -> None:
        """The body, or what a fault leaves of it."""
        half = len(part) // 2
        if fault == "reset":
            self.wfile.write(part[:half])
            self.reset()
        elif fault == "truncated":
            self.wfile.write(part[:half])
            self.close_connection = True
        elif fault == "slow":
            self.trickle(part)
        else:
            for begin in range(0, len(part), 1024):
                time.sleep(self.server.delay)
                self.wfile.write(part[begin : begin + 1024])

    def trickle(self, part: bytes) -> None:
        for value in part[:100]:
            self.wfile.write(bytes([value]))
            self.wfile.flush()
            time.sleep(0.05)
        self.close_connection = True

    def stream(self, body: bytes, fault: str) -> None:
        """A zip made while it is sent: chunks, no length, no Range."""
        if fault in ("status_500", "status_429"):
            self.status(fault)
            return
        if fault == "html":
            self.send(200, HTML, "text/html")
            return
        if fault == "wrong_bytes":
            body = body[:100] + bytes([body[100] ^ 0xFF]) + body[101:]
        self.send_response(200)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        cut = len(body) // 2 if fault in ("reset", "truncated", "short", "slow") else len(body)
        for begin in range(0, cut, 1024):
            time.sleep(self.server.delay)
            part = body[begin : min(cut, begin + 1024)]
            self.wfile.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
        if fault == "reset":
            self.reset()
        elif fault in ("truncated", "slow"):
            self.close_connection = True
        else:
            self.wfile.write(b"0\r\n\r\n")


def main(arguments: list[str]) -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port-file", type=Path, required=True)
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--faults", type=int)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--delay", type=float, default=0.0)
    given = parser.parse_args(arguments)
    server = Server(given.port, given.log, given.faults, given.delay)
    temporary = given.port_file.with_suffix(".tmp")
    temporary.write_text(str(server.server_address[1]), encoding="ascii")
    temporary.replace(given.port_file)
    server.serve_forever()


if __name__ == "__main__":
    main(sys.argv[1:])
