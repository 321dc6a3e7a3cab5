"""A small OpenAI-compatible server as a process of its own, for tests: a real transformers model, or one fault after another.

``python -m tests.language_model_server --port-file FILE --log FILE [--model FOLDER]``

The model server enforces ``response_format: json_schema`` and ``structured_outputs: grammar`` by llguidance, as vLLM does, and tells
log-probabilities. Without a model it answers by what the user's message names: ``fault: html`` and so on.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

GOOD = json.dumps({"findings": []})


class Handler(BaseHTTPRequestHandler):
    """Speaks HTTP; what is answered is the server's ``completion``."""

    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, *_parts: object) -> None:
        """Nothing on the terminal."""

    def do_GET(self) -> None:
        """The model list."""
        if self.path == "/v1/models":
            self.reply(200, {"object": "list", "data": [{"id": "tiny", "object": "model", "max_model_len": 4096}]})
        else:
            self.reply(404, {"error": {"message": "not found"}})

    def do_POST(self) -> None:
        """A chat completion."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.note({"path": self.path, "key": self.headers.get("Authorization"), "host": self.headers.get("Host"), "body": body})
        if body.get("model") != "tiny":
            self.reply(404, {"error": {"message": "no such model"}})
        else:
            self.server.completion(self, body)

    def reply(self, code: int, content: dict[str, Any] | bytes, **headers: str) -> None:
        """Status, headers and a body."""
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def complete(self, text: str, prompt_tokens: int | None = None, reason: str = "stop", logprobs: Any = None) -> None:
        """A chat completion with this text."""
        usage = {} if prompt_tokens is None else {"usage": {"prompt_tokens": prompt_tokens, "completion_tokens": max(1, len(text) // 4)}}
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": reason, "logprobs": logprobs}
        self.reply(200, {"object": "chat.completion", "choices": [choice], **usage})


class Server(ThreadingHTTPServer):
    """Holds what all connections share."""

    daemon_threads = True
    completion: Callable[[Handler, dict[str, Any]], None]

    def __init__(self, address: tuple[str, int], log: Path, family: int) -> None:
        self.address_family = family
        self._log = log
        self._lock = threading.Lock()
        super().__init__(address, Handler)

    def note(self, line: dict[str, Any]) -> None:
        """Every request is written down at once, so that the log survives a kill."""
        with self._lock, self._log.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
            file.flush()


def model_completion(folder: Path) -> Callable[[Handler, dict[str, Any]], None]:
    """Completions of a real model in this process."""
    import torch

    from weakbox.language_models.evidence_grammar import evidence_grammar
    from weakbox.language_models.interface import AnswerStatus, Message, Request
    from weakbox.language_models.local import load_local
    from weakbox.language_models.options import LocalOptions

    torch.set_num_threads(1)
    model, lock = load_local(LocalOptions(model=str(folder), device="cpu")), threading.Lock()

    def likeliest(messages: tuple[Message, ...], number: int) -> Any:
        with torch.no_grad():
            scores = model._network(torch.tensor([model._tokens(messages)])).logits[0, -1].log_softmax(dim=-1)
        top = scores.topk(number)
        listed = [
            {"token": model._tokenizer.decode([token]), "logprob": value}
            for value, token in zip(top.values.tolist(), top.indices.tolist(), strict=True)
        ]
        return {"content": [{**listed[0], "top_logprobs": listed}]}

    def completion(handler: Handler, body: dict[str, Any]) -> None:
        messages = tuple(Message(role=turn["role"], content=turn["content"]) for turn in body["messages"])
        schema = body.get("response_format", {}).get("json_schema", {}).get("schema", {})
        grammar = body.get("structured_outputs", {}).get("grammar") or (evidence_grammar(schema, "") if schema else None)
        request = Request(key="", messages=messages, schema={}, grammar=grammar, maximum_tokens=body["max_tokens"])
        with lock:
            (answer,) = model.answer([request])
            logprobs = likeliest(messages, body["top_logprobs"]) if body.get("logprobs") else None
        reason = "length" if answer.status is AnswerStatus.TRUNCATED else "stop"
        handler.complete(answer.text, answer.prompt_tokens, reason, logprobs)

    return completion


def faulty_completion() -> Callable[[Handler, dict[str, Any]], None]:
    """Completions by the fault that the last user message with ``fault:`` names; ``times`` counts how often it was asked."""
    asked: Counter[str] = Counter()

    def completion(handler: Handler, body: dict[str, Any]) -> None:
        contents = [turn["content"] for turn in body["messages"] if "fault: " in turn["content"]]
        if not contents:
            handler.complete('{"probe": "x7q"}', 5)
            return
        fault = contents[0].partition("fault: ")[2].split()[0]
        asked[contents[0]] += 1
        FAULTS[fault](handler, asked[contents[0]], body)

    return completion


def _hang(handler: Handler, _times: int, _body: dict[str, Any]) -> None:
    time.sleep(60)


def _reset(handler: Handler, times: int, _body: dict[str, Any]) -> None:
    if times > 2:
        handler.complete(GOOD, 50)
        return
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()
    handler.close_connection = True


def _always_reset(handler: Handler, _times: int, body: dict[str, Any]) -> None:
    _reset(handler, 0, body)


def _trickle(handler: Handler, _times: int, _body: dict[str, Any]) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    for _second in range(600):
        handler.wfile.write(b" ")
        handler.wfile.flush()
        time.sleep(0.05)


def _white_body(handler: Handler, _times: int, _body: dict[str, Any]) -> None:
    handler.send_response(200)
    handler.send_header("Connection", "close")
    handler.end_headers()
    while True:
        handler.wfile.write(b" \n" * 50_000)


def _cut_body(handler: Handler, _times: int, _body: dict[str, Any]) -> None:
    data = b'{"choices": [{"message": {"content": "{\\"find'
    handler.send_response(200)
    handler.send_header("Connection", "close")
    handler.end_headers()
    handler.wfile.write(data)
    handler.close_connection = True


def _busy(handler: Handler, times: int, _body: dict[str, Any]) -> None:
    if times > 1:
        handler.complete(GOOD, 50)
    else:
        handler.reply(429, {"error": {"message": "slow down"}}, Retry_After="1")


def _five_hundred(handler: Handler, times: int, _body: dict[str, Any]) -> None:
    if times > 2:
        handler.complete(GOOD, 50)
    else:
        handler.reply(500, {"error": {"message": "Erika Mustermann's prompt broke me"}})


def _says(text: str, repaired: str | None = None, **options: Any) -> Callable[[Handler, int, dict[str, Any]], None]:
    def fault(handler: Handler, times: int, _body: dict[str, Any]) -> None:
        if times > 1 and repaired is not None:
            handler.complete(repaired, 50)
        else:
            handler.complete(text, **{"prompt_tokens": 50, **options})

    return fault


def _replies(code: int, content: dict[str, Any] | bytes, **headers: str) -> Callable[[Handler, int, dict[str, Any]], None]:
    def fault(handler: Handler, _times: int, _body: dict[str, Any]) -> None:
        handler.reply(code, content, **headers)

    return fault


FAULTS: dict[str, Callable[[Handler, int, dict[str, Any]], None]] = {
    "none": _says(GOOD),
    "hang": _hang,
    "reset": _reset,
    "always-reset": _always_reset,
    "trickle": _trickle,
    "white-body": _white_body,
    "cut-body": _cut_body,
    "busy": _busy,
    "500": _five_hundred,
    "always-500": _replies(500, {"error": {"message": "Erika Mustermann"}}),
    "html": _replies(200, b"<!DOCTYPE html><html><body>Erika Mustermann: please log in</body></html>"),
    "html-text": _says("<html><body>Erika Mustermann</body></html>"),
    "list": _replies(200, b"[]"),
    "no-choices": _replies(200, {"error": "Erika Mustermann"}),
    "redirect": _replies(307, b"", Location="http://127.0.0.1:9/v1/chat/completions"),
    "forbidden": _replies(403, {"error": {"message": "no"}}),
    "context": _replies(400, {"error": {"message": "This model's maximum context length is 4096 tokens"}}),
    "bad-request": _replies(400, {"error": {"message": "Erika Mustermann"}}),
    "empty": _says(""),
    "white-space": _says(" \n" * 3000, reason="length"),
    "cut-json": _says('{"findings": [{"evidence": "Erika'),
    "cut-json-once": _says('{"findings": [{"evidence": "Erika', repaired=GOOD),
    "wrong-schema": _says('{"findings": [{"score": "Erika"}]}'),
    "wrong-schema-once": _says('{"lesions": []}', repaired=GOOD),
    "length": _says('{"findings": [', reason="length"),
    "filter": _says("", reason="content_filter"),
    "thinks": _says(f"<think>Erika {{\n</think>\n\n{GOOD}"),
    "thinks-unopened": _says(f"Let me see. Erika has</think>\n{GOOD}"),
    "thinks-forever": _says("<think>Erika, Erika, Erika"),
    "fence": _says(f"```json\n{GOOD}\n```"),
    "nan": _says('{"findings": NaN}'),
    "deep": _says("[" * 100_000),
    "cut-prompt": _says(GOOD, prompt_tokens=3),
    "no-usage": _says(GOOD, prompt_tokens=None),
    "surrogate": _says("\ud800"),
}


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port-file", type=Path, required=True)
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--model", type=Path)
    parser.add_argument("--delay", type=float, default=0.0)
    options = parser.parse_args()
    answer = model_completion(options.model) if options.model else faulty_completion()

    def slowed(handler: Handler, body: dict[str, Any]) -> None:
        time.sleep(options.delay)
        answer(handler, body)

    server = Server((options.host, 0), options.log, socket.AF_INET6 if ":" in options.host else socket.AF_INET)
    server.completion = slowed
    written = options.port_file.with_suffix(".part")
    written.write_text(str(server.server_address[1]))
    written.replace(options.port_file)
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    server.serve_forever()


def _end_with_parent(parent: int) -> None:
    """No server outlives the tests that started it."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


if __name__ == "__main__":
    main()
