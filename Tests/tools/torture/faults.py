"""What the sandbox does wrong with a third of the requests of each kind."""

EXPIRED = {
    "status": 403,
    "body": "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>",
}
SLOW_DOWN = {
    "status": 503, "body": "<?xml version=\"1.0\"?><Error><Code>SlowDown</Code><Message>Slow down</Message></Error>"}


def too_many(seconds):
    return {"status": 429, "body": {"code": "too_many_requests"}, "headers": {"Retry-After": str(seconds)}}


# Of each: what is answered, and whether the request takes effect all the same.
KINDS = {
    "put": [
        {"answer": "reset"}, {"answer": "reset", "after_bytes": 30_000}, {"answer": "reset", "when": "after"},
        {"answer": SLOW_DOWN}, {"answer": {"status": 500}, "when": "after"}, {"answer": EXPIRED},
        {"answer": {"omit": ["ETag"]}}, {"answer": {"replace": {"ETag": "\"0123456789abcdef0123456789abcdef\""}}},
        {"answer": {"status": 408}}, {"answer": {"status": 502, "body": "<html>"}},
    ],
    "create": [{"answer": {"status": 503}}, {"answer": "reset", "when": "after"}, {"answer": "cut-off"}],
    "report": [
        {"answer": "reset"}, {"answer": "reset", "when": "after"}, {"answer": {"fail_chunks": [1]}},
        {"answer": {"status": 500}}, {"answer": "html", "when": "after"}, {"answer": {"status": 504}, "when": "after"},
        {"answer": too_many(1)},
    ],
    "urls": [{"answer": {"status": 500}}, {"answer": "reset"}, {"answer": "cut-short"}],
    "status": [{"answer": {"status": 503}}, {"answer": "reset"}],
    "asset": [{"answer": {"status": 500}}, {"answer": "cut-off"}],
    "delete": [{"answer": {"status": 502}}, {"answer": "reset", "when": "after"}],
}


def every_third():
    """As `POST /_sandbox/faults` takes it: on the average each third request of a kind, each fault as often as others.

    A fault that is played hides its request from those after it, hence the rising probabilities: of n faults the first
    takes one request in 3n, the next one in 3n - 1 of the others, which is as many, and so on.
    """
    faults = []
    for kind, answers in KINDS.items():
        for index, answer in enumerate(answers):
            faults.append({"on": kind, **answer, "probability": 1 / (3 * len(answers) - index)})
    return {"faults": faults}
