"""The judge itself: a sound recording passes, and each violation is found. Otherwise it could pass what is wrong."""
import copy
import json
import unittest

from conformance import Constraints, Exchange, violations

MIB = 1 << 20
UPLOAD = "507f1f77bcf86cd799439011"
ASSET = "507f1f77bcf86cd799439012"
SESSION = f"/v1.3/assets/multipart-uploads/{UPLOAD}"
API_HEADERS = [("host", "127.0.0.1:8080"), ("x-api-key", "the-key"), ("accept", "application/json")]
JSON_HEADERS = API_HEADERS + [("content-type", "application/json")]


def store_url(chunk, serial="a"):
    return f"/store/{chunk}?X-Amz-Signature={serial}"


def url_entries(chunks, serial="a"):
    return [{"chunk_index": chunk, "url": f"http://127.0.0.1:8080{store_url(chunk, serial)}"} for chunk in chunks]


def call(method, target, body=None, status=200, answer=None):
    content = b"" if body is None else json.dumps(body).encode()
    return Exchange(
        method, target, list(API_HEADERS if body is None else JSON_HEADERS), content, len(content), status=status,
        answer=json.dumps(answer or {}).encode())


def put(chunk, size, serial="a"):
    headers = [("host", "127.0.0.1:8080"), ("content-length", str(size)), ("content-type", "application/octet-stream"),
               ("x-amz-tagging", "a=b")]
    return Exchange(
        "PUT", store_url(chunk, serial), headers, length=size, status=200, answer_headers={"etag": f'"etag{chunk}"'})


def chunk(index, size=5 * MIB):
    return {"chunk_index": index, "proof": f"etag{index}", "proof_type": "etag", "chunk_size": size}


def sound_recording():
    """A session of three chunks by all the calls there are, one after the other. Steps are named."""
    steps = {
        "key": call("GET", "/v1.3/assets/multipart-uploads?page_limit=1"),
        "create": call(
            "POST", "/v1.3/assets/multipart-uploads",
            {"filename": "a b.mp4", "type": "video", "total_size": 11 * MIB, "enable_hls": True,
             "user_metadata": {"a": "x", "b": 1, "c": 1.5, "d": False}}, 201,
            {"upload_id": UPLOAD, "asset_id": ASSET, "chunk_size": 5 * MIB, "total_chunks": 3,
             "upload_headers": {"Content-Type": "application/octet-stream", "X-Amz-Tagging": "a=b",
                                "Host": "elsewhere", "X-Amz-Null": None},
             "upload_urls": url_entries([1, 2])}),
        "put 1": put(1, 5 * MIB),
        "put 2": put(2, 5 * MIB),
        "report 1": call("POST", SESSION, {"completed_chunks": [chunk(2), chunk(1)]}),
        "urls": call("POST", f"{SESSION}/presigned-urls", {"start": 3, "count": 1}, 200,
                     {"upload_urls": url_entries([3])}),
        "put 3": put(3, MIB),
        "report 2": call("POST", SESSION, {"completed_chunks": [chunk(3, MIB)]}),
        "status": call("GET", f"{SESSION}?page=1&page_limit=50"),
        "asset": call("GET", f"/v1.3/assets/{ASSET}"),
        "assets": call("GET", f"/v1.3/assets?asset_ids={ASSET}&asset_ids={UPLOAD}&page_limit=50"),
        "content": Exchange("GET", "/content/a", [("host", "127.0.0.1:8080"), ("range", "bytes=0-1")], status=206),
        "metadata": call("PATCH", f"/v1.3/assets/{ASSET}/user-metadata", {"user_metadata": {"a": None, "b": "y"}}),
        "delete": call("DELETE", f"/v1.3/assets/{ASSET}?force=true", status=204),
    }
    for moment, exchange in enumerate(steps.values()):
        exchange.started, exchange.ended = moment, moment + 0.5
    return steps


def with_header(name, value):
    def change(exchange):
        exchange.headers = [pair for pair in exchange.headers if pair[0] != name]
        if value is not None:
            exchange.headers.append((name, value))
    return change


def with_body(**fields):
    def change(exchange):
        body = json.loads(exchange.body)
        for name, value in fields.items():
            body.pop(name) if value is ... else body.update({name: value})
        exchange.body = json.dumps(body).encode()
    return change


def with_chunk(**fields):
    def change(exchange):
        body = json.loads(exchange.body)
        for name, value in fields.items():
            if value is ...:
                del body["completed_chunks"][0][name]
            else:
                body["completed_chunks"][0][name] = value
        exchange.body = json.dumps(body).encode()
    return change


def with_(**fields):
    def change(exchange):
        for name, value in fields.items():
            setattr(exchange, name, value)
    return change


def with_text(text):
    return with_(body=text.encode())


# The step that is changed, how, and what has to be found.
VIOLATIONS = [
    # headers of calls
    ("create", with_header("x-api-key", None), "not one x-api-key"),
    ("asset", with_header("x-api-key", None), "not one x-api-key"),
    ("asset", with_header("x-api-key", ""), "not one x-api-key"),
    ("asset", lambda exchange: exchange.headers.append(("X-API-Key", "the-key")), "not one x-api-key"),
    ("asset", with_header("x-api-key", "another"), "another than the user's"),
    ("asset", with_header("host", None), "not one Host"),
    ("create", with_header("content-type", None), "content-type is not"),
    ("report 1", with_header("content-type", "text/plain"), "content-type is not"),
    ("status", with_header("content-type", "text/plain"), "content-type is not"),
    # methods and paths
    ("create", with_(method="PUT"), "nobody handed out this URL"),
    ("status", with_(method="PATCH"), "no such call"),
    ("status", with_(target="/v1.3/uploads"), "no such call"),
    ("asset", with_(target="/v1.3/assets/a%2Fb"), "identifier in the path"),
    ("delete", with_(target="/elsewhere"), "nothing is published there"),
    # queries
    ("status", with_(target=f"{SESSION}?page=0"), "query: $.page"),
    ("status", with_(target=f"{SESSION}?page=01"), "query: $.page"),
    ("status", with_(target=f"{SESSION}?page="), "query: $.page"),
    ("status", with_(target=f"{SESSION}?page_limit=51"), "query: $.page_limit"),
    ("status", with_(target=f"{SESSION}?page_limit=0"), "query: $.page_limit"),
    ("status", with_(target=f"{SESSION}?page=1&page=2"), "page more than once"),
    ("status", with_(target=f"{SESSION}?limit=5"), "unknown parameter: limit"),
    ("asset", with_(target=f"/v1.3/assets/{ASSET}?page=1"), "unknown parameter: page"),
    ("assets", with_(target="/v1.3/assets?asset_ids=a,b"), "query: $.asset_ids"),
    ("assets", with_(target="/v1.3/assets?asset_ids=a&asset_ids=a"), "query: $.asset_ids"),
    ("assets", with_(target="/v1.3/assets?asset_types=sound"), "query: $.asset_types"),
    ("assets", with_(target="/v1.3/assets?page_limit=100"), "query: $.page_limit"),
    ("assets", with_(target="/v1.3/assets?page_limit=0"), "query: $.page_limit"),
    ("assets", with_(target="/v1.3/assets?page_limit=ten"), "query: $.page_limit"),
    ("assets", with_(target="/v1.3/assets?page=0"), "query: $.page"),
    ("assets", with_(target="/v1.3/assets?page=one"), "query: $.page"),
    ("assets", with_(target="/v1.3/assets?filename="), "query: $.filename"),
    ("delete", with_(target=f"/v1.3/assets/{ASSET}?force=1"), "query: $.force"),
    # bodies
    ("create", with_text(""), "not JSON"),
    ("create", with_text("{"), "not JSON"),
    ("create", with_text('{"filename": "a", "filename": "b", "type": "video", "total_size": 1}'), "comes twice"),
    ("create", with_text('{"filename": "a", "type": "video", "total_size": NaN}'), "NaN is no JSON"),
    ("create", with_(body=b'{"filename": "\xff", "type": "video", "total_size": 1}'), "not JSON"),
    ("create", with_text("[]"), "body: $"),
    ("create", with_body(filename=...), "'filename' is a required"),
    ("create", with_body(filename=""), "body: $.filename"),
    ("create", with_body(filename="a" * 256), "body: $.filename"),
    ("create", with_body(filename=7), "body: $.filename"),
    ("create", with_body(type=...), "'type' is a required"),
    ("create", with_body(type="auto"), "body: $.type"),
    ("create", with_body(total_size=...), "'total_size' is a required"),
    ("create", with_body(total_size=0), "body: $.total_size"),
    ("create", with_body(total_size=10 * 1024 * MIB + 1), "body: $.total_size"),
    ("create", with_body(total_size=11534336.0), "body: $.total_size"),
    ("create", with_body(total_size="11534336"), "body: $.total_size"),
    ("create", with_body(total_size=True), "body: $.total_size"),
    ("create", with_body(type="image", total_size=32 * MIB + 1), "body: $.total_size"),
    ("create", with_body(enable_hls="true"), "body: $.enable_hls"),
    ("create", with_body(enable_thumbnail=None), "body: $.enable_thumbnail"),
    ("create", with_body(user_metadata=[]), "body: $.user_metadata"),
    ("create", with_body(user_metadata={"a": ["x"]}), "body: $.user_metadata.a"),
    ("create", with_body(user_metadata={"a": {}}), "body: $.user_metadata.a"),
    ("create", with_body(user_metadata={"a": None}), "body: $.user_metadata.a"),
    ("create", with_body(user_metadata={"a": 1 << 53}), "body: $.user_metadata.a"),
    ("create", with_body(user_metadata={"a": -(1 << 53)}), "body: $.user_metadata.a"),
    ("create", with_body(file_type="video"), "body: $"),
    ("report 1", with_text("[]"), "body: $"),
    ("report 1", with_body(completed_chunks={}), "body: $.completed_chunks"),
    ("report 1", with_body(completed_chunks=["a"]), "body: $.completed_chunks[0]"),
    ("report 1", with_body(completed_chunks=...), "'completed_chunks' is a required"),
    ("report 1", with_body(completed_chunks=[]), "body: $.completed_chunks"),
    ("report 1", with_body(completed_chunks=[chunk(n + 1) for n in range(51)]), "body: $.completed_chunks"),
    ("report 1", with_body(upload_id=UPLOAD), "body: $"),
    ("report 1", with_chunk(chunk_index=0), "body: $.completed_chunks[0].chunk_index"),
    ("report 1", with_chunk(chunk_index="2"), "body: $.completed_chunks[0].chunk_index"),
    ("report 1", with_chunk(chunk_index=...), "'chunk_index' is a required"),
    ("report 1", with_chunk(proof=...), "'proof' is a required"),
    ("report 1", with_chunk(proof=None), "body: $.completed_chunks[0].proof"),
    ("report 1", with_chunk(proof_type=...), "'proof_type' is a required"),
    ("report 1", with_chunk(proof='"etag2"'), "body: $.completed_chunks[0].proof"),
    ("report 1", with_chunk(proof_type="md5"), "body: $.completed_chunks[0].proof_type"),
    ("report 1", with_chunk(chunk_size=...), "'chunk_size' is a required"),
    ("report 1", with_chunk(chunk_size="5242880"), "body: $.completed_chunks[0].chunk_size"),
    ("report 1", with_chunk(chunk_size=0), "body: $.completed_chunks[0].chunk_size"),
    ("report 1", with_chunk(error=None), "body: $.completed_chunks[0]"),
    ("urls", with_text("3"), "body: $"),
    ("urls", with_body(start=0), "body: $.start"),
    ("urls", with_body(start="3"), "body: $.start"),
    ("urls", with_body(count=0), "body: $.count"),
    ("urls", with_body(count=51), "body: $.count"),
    ("urls", with_body(count="1"), "body: $.count"),
    ("urls", with_body(start=...), "'start' is a required"),
    ("urls", with_body(count=...), "'count' is a required"),
    ("urls", with_body(upload_id=UPLOAD), "body: $"),
    ("asset", with_text("{}"), "may have none"),
    ("metadata", with_text("null"), "body: $"),
    ("metadata", with_body(user_metadata=...), "'user_metadata' is a required"),
    ("metadata", with_body(user_metadata=None), "body: $.user_metadata"),
    ("metadata", with_body(a="x"), "body: $"),
    *(("metadata", with_body(user_metadata={"a": value}), "body: $.user_metadata.a") for value in (["x"], 1 << 53, -(1 << 53))),
    # agreement with what was answered before
    ("urls", with_body(start=3, count=2), "more chunks than there are"),
    ("report 1", with_chunk(chunk_index=4), "names chunk 4 of 3"),
    ("report 1", with_chunk(chunk_index=1, proof="etag1"), "names a chunk twice"),
    ("report 1", with_chunk(chunk_size=MIB), "wrong size of chunk 2"),
    ("report 1", with_chunk(proof="etag1"), "did not give before"),
    ("put 2", with_(ended=99), "did not give before"),
    ("put 2", with_(status=500), "did not give before"),
    ("report 2", with_(target="/v1.3/assets/multipart-uploads/other"), "nobody opened"),
    # PUTs
    ("put 1", with_header("x-api-key", "the-key"), "carries x-api-key"),
    ("put 1", with_header("authorization", "Bearer x"), "carries authorization"),
    ("put 1", with_header("cookie", "a=b"), "carries cookie"),
    ("put 1", with_header("transfer-encoding", "chunked"), "carries transfer-encoding"),
    ("put 1", with_header("content-length", None), "Content-Length is not the 5242880 bytes"),
    ("put 1", with_header("content-length", str(MIB)), "Content-Length is not the 5242880 bytes"),
    ("put 3", with_header("content-length", str(5 * MIB)), "Content-Length is not the 1048576 bytes"),
    ("put 1", with_(length=MIB), "has 1048576 bytes of the 5242880"),
    ("put 1", with_header("content-type", None), "does not carry content-type"),
    ("put 1", with_header("content-type", "video/mp4"), "does not carry content-type"),
    ("put 1", with_header("x-amz-tagging", None), "does not carry x-amz-tagging"),
    ("put 1", with_header("host", "elsewhere"), "another host"),
    ("put 1", with_(target=store_url(1) + "&x=y"), "nobody handed out this URL"),
    ("put 2", with_(target=store_url(1)), "one URL was used 2 times"),
    ("put 3", with_(started=1), "before its URL was handed out"),
    ("content", with_header("x-api-key", "the-key"), "x-api-key goes to a store"),
]


# MARK: The constraints as a tree, of which each rule can be taken away

RULES = {"type", "enum", "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "pattern", "uniqueItems",
         "additionalProperties", "not"}


def inlined(value, definitions):
    """Without references, so that a rule stands in one place only."""
    if isinstance(value, dict):
        if "$ref" in value:
            return inlined(definitions[value["$ref"].rsplit("/", 1)[1]], definitions)
        return {name: inlined(each, definitions) for name, each in value.items()}
    return [inlined(each, definitions) for each in value] if isinstance(value, list) else value


def rules(value, path=()):
    """The path of each rule of a schema below a call; of `required`, of each name."""
    if isinstance(value, list):
        for number, each in enumerate(value):
            yield from rules(each, path + (number,))
    elif isinstance(value, dict):
        for name, each in value.items():
            # What `properties` and a query hold are names of theirs.
            is_rule = name in RULES and path[-1:] not in (("properties",), ("query",))
            if is_rule and not (name == "additionalProperties" and isinstance(each, dict)):
                yield path + (name,)
            elif name == "required" and path:
                yield from (path + (name, number) for number in range(len(each)))
            elif name != "if":
                yield from rules(each, path + (name,))


def remove(value, path):
    for step in path[:-1]:
        value = value[step]
    del value[path[-1]]


def called(exchange):
    call = Constraints().call(exchange)
    return call["name"] if call else None


class TheJudge(unittest.TestCase):
    def test_a_sound_recording_passes(self):
        self.assertEqual(violations(list(sound_recording().values()), key="the-key"), [])

    def test_each_violation_is_found(self):
        for step, change, words in VIOLATIONS:
            steps = sound_recording()
            change(steps[step])
            found = violations(list(steps.values()), key="the-key")
            with self.subTest(step=step, words=words):
                self.assertTrue(any(words in line for line in found), f"found only {found}")

    def test_nine_reports_at_a_time_are_found(self):
        for count in (8, 9):
            steps = sound_recording()
            for number in range(count):
                steps[f"again {number}"] = copy.deepcopy(steps["report 1"])
                steps[f"again {number}"].started, steps[f"again {number}"].ended = 20 + number / 100, 21
            found = violations(list(steps.values()), key="the-key")
            self.assertEqual([line for line in found if "at a time" in line] != [], count == 9, found)
            self.assertEqual(len(found), count - 8, found)

    def test_no_constraint_can_go_unnoticed(self):
        """Without any single one of them, a violation of the table is not found any more."""
        whole = inlined(Constraints().data, Constraints().data["api"]["$defs"])
        for number, call in enumerate(whole["api"]["calls"]):
            if call["name"] == "list incomplete":
                # Its query is that of `status`, word by word.
                self.assertEqual(call["query"], whole["api"]["calls"][number + 1]["query"])
                continue
            own = [violation for violation in VIOLATIONS if called(sound_recording()[violation[0]]) == call["name"]]
            for path in rules(call):
                data = copy.deepcopy(whole)
                remove(data["api"]["calls"][number], path)
                lax = Constraints(data=data)
                with self.subTest(call=call["name"], without=path):
                    self.assertTrue(any(not self.is_found(*violation, lax) for violation in own))

    @staticmethod
    def is_found(step, change, words, constraints):
        steps = sound_recording()
        change(steps[step])
        return any(words in line for line in violations(list(steps.values()), key="the-key", constraints=constraints))


if __name__ == "__main__":
    unittest.main()
