"""An OpenAI-compatible server as a process of its own that answers as a script says, report by report.

``python -m tests.scripted_language_model_server --port-file FILE --log FILE --answers FILE``

The script is JSON: SHA-256 of a report's text -> ``{"text": ANSWER}`` or ``{"fault": NAME}`` of ``language_model_server``. What is not
in it gets an empty list of everything. The log names each report by its digest, once asked and once when its answer is out.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import socket
import threading
import time
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

from tests.language_model_server import FAULTS, Handler, Server, _end_with_parent

START, END = "<report>\n", "\n</report>"


def digest_of(text: str) -> str:
    """How script and log name a report."""
    return hashlib.sha256(text.encode()).hexdigest()


def report_in(body: dict[str, Any]) -> str | None:
    """The report of a chat; None for a probe."""
    contents = [turn["content"] for turn in body["messages"] if turn["role"] == "user" and turn["content"].startswith(START)]
    return contents[0].removeprefix(START).removesuffix(END) if contents else None


class Script:
    """Completions by the script."""

    def __init__(self, answers: dict[str, dict[str, str]], delay: float) -> None:
        self._answers = answers
        self._delay = delay
        self._asked: Counter[str] = Counter()

    def __call__(self, handler: Handler, body: dict[str, Any]) -> None:
        """Answer one chat."""
        report = report_in(body)
        if report is None:
            handler.complete('{"probe": "x7q"}', 5)
            return
        name = digest_of(report)
        self._asked[name] += 1
        time.sleep(self._delay)
        entry = self._answers.get(name, {"text": "{}"})
        if "fault" in entry:
            handler.complete = partial(_complete, handler)  # type: ignore[method-assign]
            FAULTS[entry["fault"]](handler, self._asked[name], body)
        else:
            handler.complete(entry["text"], 100_000)
            handler.server.note({"answered": name})


def _complete(handler: Handler, text: str, prompt_tokens: int | None = None, **options: Any) -> None:
    """The faults speak of short prompts; ours are long, and a prompt that was cut is a fault of its own."""
    Handler.complete(handler, text, None if prompt_tokens is None else 100_000, **options)


class NamedServer(Server):
    """Writes down which report was asked about, not its text."""

    def note(self, line: dict[str, Any]) -> None:
        body = line.get("body")
        report = report_in(body) if body else None
        super().note(line if body is None else {"asked": report and digest_of(report), "form": sorted(body)})


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port-file", type=Path, required=True)
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--answers", type=Path, required=True)
    parser.add_argument("--delay", type=float, default=0.0)
    options = parser.parse_args()
    server = NamedServer(("127.0.0.1", 0), options.log, socket.AF_INET)
    server.completion = Script(json.loads(options.answers.read_text(encoding="utf-8")), options.delay)
    written = options.port_file.with_suffix(".part")
    written.write_text(str(server.server_address[1]))
    written.replace(options.port_file)
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    server.serve_forever()


if __name__ == "__main__":
    main()
