"""What `helm test` runs: one complaint that is nobody's is posted, routed, withdrawn and closed, as a front end does it.

SERVICES: `name=address`, with spaces between. TOKEN_FILE: a token of the role front-end. SECONDS_ALLOWED: for the whole of it.
CA_FILE: certificates that sign the services', beside those that the machine trusts.
"""

import json
import os
import ssl
import sys
import time
import urllib.error
import urllib.request
import uuid

TEXT = "TEST, nobody waits for an answer: broadband at home is very slow every evening, and the video buffers all the time."
BUSY = (429, 503)
TRUSTED = ssl.create_default_context()
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=TRUSTED))


def main() -> None:
    if file := os.environ.get("CA_FILE"):
        TRUSTED.load_verify_locations(file)
    services = dict(each.split("=", 1) for each in os.environ["SERVICES"].split())
    end = time.monotonic() + float(os.environ["SECONDS_ALLOWED"])
    with open(os.environ["TOKEN_FILE"], encoding="utf-8") as file:
        token = file.read().strip()
    for name, address in services.items():
        until(end, f"{name} is ready", lambda address=address: call("GET", f"{address}/health/ready")[0] == 200)
    intake = services["intake"]
    new = told(end, "POST", f"{intake}/complaints", token, {"channel": "web", "text": TEXT, "customer": "Test of the installation"}, 201)
    complaint = f"{intake}/complaints/{new['id']}"
    print(f"{new['number']} is registered.", flush=True)
    seen = until(end, "triage has classified it", lambda: (now := told(end, "GET", complaint, token)).get("stage") != "registered" and now)
    print(f"It is {seen['stage']}.", flush=True)
    told(end, "POST", f"{complaint}/withdrawal", token, {"reason": "It was a test."})
    until(end, "callback has closed it", lambda: told(end, "GET", complaint, token).get("stage") == "closed")
    print("It is closed. The installation takes complaints.", flush=True)


def until(end, what, check):
    """The first answer that counts as true; the end of the test where none comes in time."""
    while True:
        if answer := check():
            return answer
        if time.monotonic() > end:
            sys.exit(f"Not in time: {what}.")
        time.sleep(0.5)


def told(end, method, address, token, body=None, wanted=200):
    """The answer's JSON. Repeated under one idempotency key while the service is busy; the end of the test where it refuses."""
    key = str(uuid.uuid4())
    while True:
        status, answer = call(method, address, token, body, key)
        if status == wanted:
            return json.loads(answer)
        if status not in (0, *BUSY) or time.monotonic() > end:
            sys.exit(f"{method} {address} was answered {status}: {answer.decode(errors='replace')[:500]}")
        time.sleep(0.5)


def call(method, address, token=None, body=None, key=None):
    """Status and content; 0 where nobody answers."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    if body is not None:
        headers |= {"Content-Type": "application/json", "Idempotency-Key": key}
    request = urllib.request.Request(address, json.dumps(body).encode() if body is not None else None, headers, method=method)
    try:
        with OPENER.open(request, timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()
    except OSError as error:
        return 0, str(error).encode()


if __name__ == "__main__":
    main()
