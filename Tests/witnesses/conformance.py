"""Judges recorded requests by the platform's published constraints (constraints.json), and by nothing of twelvefs's own.

`Constraints` looks at one request at a time; `violations` at a whole recording, where requests have to agree with the
answers before them: URLs that were handed out, chunks as large as they have to be, reports of what the store has.
"""
import json
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import jsonschema


@dataclass
class Exchange:
    """A request and what came of it. Times are seconds of one clock.

    It has ended just before its answer went out, or when there could be none any more (then it has no status).
    """

    method: str
    target: str  # path and query, as they came
    headers: list[tuple[str, str]]
    body: bytes = b""  # of calls of the API only
    length: int = 0  # of the body, as far as it came
    started: float = 0
    ended: float = 0
    status: int | None = None
    answer_headers: dict[str, str] = field(default_factory=dict)  # names in lowercase
    answer: bytes = b""  # of calls of the API only
    sender: str = ""  # the address that it came from

    def header(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name]

    @property
    def succeeded(self) -> bool:
        return self.status is not None and 200 <= self.status < 300

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def _strict_types():
    """Draft 2020-12, where 1.0 is no integer: a server need not take it for one."""
    checker = jsonschema.Draft202012Validator.TYPE_CHECKER.redefine(
        "integer", lambda _, value: isinstance(value, int) and not isinstance(value, bool))
    return jsonschema.validators.extend(jsonschema.Draft202012Validator, type_checker=checker)


_Validator = _strict_types()


def _json(body: bytes):
    """Parses strictly: UTF-8, no name twice, no NaN. Raises ValueError."""

    def once(pairs):
        names = [name for name, _ in pairs]
        if len(set(names)) != len(names):
            raise ValueError("a name comes twice in one object")
        return dict(pairs)

    def refuse(word):
        raise ValueError(f"{word} is no JSON")

    return json.loads(body.decode("utf-8"), object_pairs_hook=once, parse_constant=refuse)


class Constraints:
    """The extract of the specifications."""

    def __init__(self, base_path: str = "/v1.3", data: dict | None = None):
        self.data = data or json.loads(Path(__file__).with_name("constraints.json").read_text(encoding="utf-8"))
        self.base_path = base_path
        self.calls = self.data["api"]["calls"]
        self.maximum_reports = self.data["concurrent_reports"]["maximum"]

    def is_call(self, exchange: Exchange) -> bool:
        return exchange.path.startswith(self.base_path + "/")

    def call(self, exchange: Exchange) -> dict | None:
        """The call that a request makes, by method and path. A path without parameters wins."""
        path = exchange.path.removeprefix(self.base_path)
        for call in sorted(self.calls, key=lambda call: call["path"].count("{")):
            pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(call["path"]))
            if call["method"] == exchange.method and re.fullmatch(pattern, path):
                return call
        return None

    def parameter(self, exchange: Exchange, call: dict) -> str:
        """The upload's or asset's identifier in a path."""
        names = call["path"].split("/")
        values = exchange.path.removeprefix(self.base_path).split("/")
        return next((value for name, value in zip(names, values) if name.startswith("{")), "")

    def violations(self, exchange: Exchange) -> list[str]:
        """What is wrong with one call of the API, in words."""
        call = self.call(exchange)
        if call is None:
            return ["no such call is published"]
        found = [*self._of_headers(exchange), *self._of_query(exchange, call), *self._of_body(exchange, call)]
        if "{" in call["path"]:
            parameter = self.parameter(exchange, call)
            if not re.fullmatch(self.data["api"]["path_parameter"]["pattern"], parameter):
                found.append("the identifier in the path holds what a path may not")
        return found

    def _of_headers(self, exchange: Exchange) -> list[str]:
        found = []
        keys = exchange.header("x-api-key")
        if len(keys) != 1 or not keys[0].strip():
            found.append("there is not one x-api-key")
        if len(exchange.header("host")) != 1:
            found.append("there is not one Host")
        types = exchange.header("content-type")
        wanted = self.data["api"]["headers"]["content-type"]["with_body"]
        if exchange.body or types:
            plain = [value.split(";")[0].strip().lower() for value in types]
            if plain != [wanted]:
                found.append(f"content-type is not {wanted}")
        return found

    def _of_query(self, exchange: Exchange, call: dict) -> list[str]:
        known = call.get("query", {})
        given: dict[str, list[str]] = {}
        for name, value in parse_qsl(urlsplit(exchange.target).query, keep_blank_values=True, strict_parsing=False):
            given.setdefault(name, []).append(value)
        found, values = [], {}
        for name, texts in given.items():
            if name not in known:
                found.append(f"the query has an unknown parameter: {name}")
                continue
            schema = self._resolved(known[name])
            if schema.get("type") == "array":
                values[name] = texts
            elif len(texts) != 1:
                found.append(f"the query has {name} more than once")
            else:
                values[name] = self._typed(texts[0], schema.get("type"))
        schema = {"type": "object", "properties": known}
        return found + [f"query: {problem}" for problem in self._problems(schema, values)]

    @staticmethod
    def _typed(text: str, kind: str | None):
        if kind == "integer" and re.fullmatch(r"-?(0|[1-9]\d*)", text):
            return int(text)
        if kind == "boolean" and text in ("true", "false"):
            return text == "true"
        return text

    def _of_body(self, exchange: Exchange, call: dict) -> list[str]:
        if "body" not in call:
            return ["it has a body, and may have none"] if exchange.body else []
        try:
            value = _json(exchange.body)
        except ValueError as error:
            return [f"the body is not JSON: {error}"]
        return [f"body: {problem}" for problem in self._problems(call["body"], value)]

    def _resolved(self, schema: dict) -> dict:
        reference = schema.get("$ref")
        return self.data["api"]["$defs"][reference.rsplit("/", 1)[1]] if reference else schema

    def _problems(self, schema: dict, value) -> list[str]:
        validator = _Validator({**schema, "$defs": self.data["api"]["$defs"]})
        return [f"{error.json_path}: {self._words(error)}" for error in validator.iter_errors(value)]

    @staticmethod
    def _words(error: jsonschema.ValidationError) -> str:
        # A message begins with the value, which may be long.
        if len(error.message) <= 120:
            return error.message
        return f"does not hold to {error.validator} {str(error.validator_value)[:80]}"


@dataclass
class _Session:
    total_size: int
    chunk_size: int
    total_chunks: int
    headers: dict[str, str]
    # (when it was told, the ETag), of each chunk
    etags: dict[int, list[tuple[float, str]]] = field(default_factory=dict)

    def size(self, chunk: int) -> int:
        return min(self.chunk_size, self.total_size - (chunk - 1) * self.chunk_size)


class _Recording:
    """What requests have to agree with."""

    def __init__(self, exchanges: list[Exchange], constraints: Constraints, key: str | None):
        self.exchanges = sorted(exchanges, key=lambda exchange: exchange.started)
        self.constraints, self.key = constraints, key
        self.sessions: dict[str, _Session] = {}
        # target: (Host, session's id, chunk's index, when it was handed out)
        self.urls: dict[str, tuple[str, str, int, float]] = {}
        self.found: list[str] = []

    def judge(self) -> list[str]:
        for exchange in self.exchanges:
            if self.constraints.is_call(exchange):
                self._learn(exchange)
        puts = [exchange for exchange in self.exchanges if exchange.method == "PUT"]
        self._judge_puts(puts)
        for exchange in self.exchanges:
            if self.constraints.is_call(exchange):
                self._judge_call(exchange)
            elif exchange.method not in ("PUT", "GET"):
                self._record(exchange, "nothing is published there")
            elif exchange.method == "GET" and exchange.header("x-api-key"):
                self._record(exchange, "x-api-key goes to a store")
        self._judge_concurrency()
        return self.found

    def _record(self, exchange: Exchange, problem: str) -> None:
        self.found.append(f"{exchange}: {problem}")

    def _learn(self, exchange: Exchange) -> None:
        call = self.constraints.call(exchange)
        if call is None or call["name"] not in ("create", "more URLs") or not exchange.succeeded:
            return
        try:
            answer, request = json.loads(exchange.answer), json.loads(exchange.body)
        except ValueError:
            return
        if call["name"] == "create":
            upload = answer["upload_id"]
            headers = {name.lower(): value for name, value in (answer.get("upload_headers") or {}).items()}
            size = request.get("total_size") if isinstance(request, dict) else None
            self.sessions[upload] = _Session(
                size if isinstance(size, int) else 0, answer["chunk_size"], answer["total_chunks"], headers)
        else:
            upload = self.constraints.parameter(exchange, call)
        for entry in answer.get("upload_urls") or []:
            parts = urlsplit(entry["url"])
            target = parts.path + (f"?{parts.query}" if parts.query else "")
            self.urls[target] = (parts.netloc, upload, entry["chunk_index"], exchange.ended)

    # MARK: PUTs

    def _judge_puts(self, puts: list[Exchange]) -> None:
        rules = self.constraints.data["store"]
        uses = Counter(put.target for put in puts)
        for target, count in uses.items():
            if count > 1:
                self.found.append(f"PUT {urlsplit(target).path}: one URL was used {count} times")
        for put in puts:
            for name in rules["forbidden_headers"]:
                if put.header(name):
                    self._record(put, f"carries {name}")
            if put.target not in self.urls:
                self._record(put, "nobody handed out this URL")
                continue
            host, upload, chunk, handed_out = self.urls[put.target]
            if put.header("host") != [host]:
                self._record(put, "goes to another host than the URL's")
            if put.started < handed_out:
                self._record(put, "came before its URL was handed out")
            session = self.sessions.get(upload)
            if session is None:
                self._record(put, "is of a session that nobody opened")
                continue
            self._judge_put(put, session, chunk)

    def _judge_put(self, put: Exchange, session: _Session, chunk: int) -> None:
        if put.header("content-length") != [str(session.size(chunk))]:
            self._record(put, f"Content-Length is not the {session.size(chunk)} bytes of chunk {chunk}")
        elif put.succeeded and put.length != session.size(chunk):
            self._record(put, f"has {put.length} bytes of the {session.size(chunk)} of chunk {chunk}")
        default = self.constraints.data["store"]["default_content_type"]
        for name, value in {"content-type": default, **session.headers}.items():
            # Host and Content-Length are the sender's to compute, whatever an answer says; null is no value.
            if name not in ("host", "content-length") and value is not None and put.header(name) != [value]:
                self._record(put, f"does not carry {name} as the session's upload_headers say")
        if put.succeeded and (etag := put.answer_headers.get("etag")):
            session.etags.setdefault(chunk, []).append((put.ended, etag.strip('"')))

    # MARK: Calls

    def _judge_call(self, exchange: Exchange) -> None:
        for problem in self.constraints.violations(exchange):
            self._record(exchange, problem)
        if self.key is not None and exchange.header("x-api-key") not in ([], [self.key]):
            self._record(exchange, "x-api-key is another than the user's")
        call = self.constraints.call(exchange)
        if call is None or call["name"] not in ("report", "more URLs"):
            return
        session = self.sessions.get(self.constraints.parameter(exchange, call))
        if session is None:
            self._record(exchange, "is about a session that nobody opened")
            return
        try:
            body = _json(exchange.body)
            if call["name"] == "report":
                self._judge_report(exchange, session, body["completed_chunks"])
            elif body["start"] + body["count"] - 1 > session.total_chunks:
                self._record(exchange, "asks for URLs of more chunks than there are")
        except (ValueError, KeyError, TypeError):
            pass  # its form was found fault with above

    def _judge_report(self, exchange: Exchange, session: _Session, chunks: list[dict]) -> None:
        indices = [chunk["chunk_index"] for chunk in chunks]
        if len(set(indices)) != len(indices):
            self._record(exchange, "names a chunk twice")
        for chunk in chunks:
            index = chunk["chunk_index"]
            if not 1 <= index <= session.total_chunks:
                self._record(exchange, f"names chunk {index} of {session.total_chunks}")
                continue
            if chunk["chunk_size"] != session.size(index):
                self._record(exchange, f"has a wrong size of chunk {index}")
            told = [etag for when, etag in session.etags.get(index, []) if when <= exchange.started]
            if chunk["proof"] not in told:
                self._record(exchange, f"has a proof of chunk {index} that the store did not give before")

    def _judge_concurrency(self) -> None:
        reports: dict[str, list[Exchange]] = {}
        for exchange in self.exchanges:
            call = self.constraints.call(exchange) if self.constraints.is_call(exchange) else None
            if call is not None and call["name"] == "report":
                reports.setdefault(exchange.path, []).append(exchange)
        for path, those in reports.items():
            peak = _most_at_a_time(those)
            if peak > self.constraints.maximum_reports:
                self.found.append(f"POST {path}: {peak} reports are on their way at a time")


def _most_at_a_time(exchanges: list[Exchange]) -> int:
    # At the same moment, ends come before beginnings.
    changes = [(exchange.started, 1) for exchange in exchanges]
    changes += [(exchange.ended, -1) for exchange in exchanges]
    now = peak = 0
    for _, change in sorted(changes):
        now += change
        peak = max(peak, now)
    return peak


def violations(
    exchanges: list[Exchange], key: str | None = None, constraints: Constraints | None = None
) -> list[str]:
    """All that is wrong with a recording, in words that hold neither keys nor queries."""
    return _Recording(exchanges, constraints or Constraints(), key).judge()
