"""A client on redis-py with its default options. Its words and lines are told in src/reference/libraries.rs."""

import json
import sys
import time

import redis
from redis import exceptions
from redis.sentinel import MasterNotFoundError, Sentinel

if sys.argv[1:] == ["--version"]:
    print(redis.__version__)
    sys.exit()
kind, way, addresses, master, out, channel, keys, every_us, first = sys.argv[1:]
addresses = [(host, int(port)) for host, port in (address.split(":") for address in addresses.split(","))]
log = open(out, "a", buffering=1)


def note(op, at=None, **rest):
    log.write(json.dumps({"at": int((at or time.time()) * 1e6), "op": op, **rest}) + "\n")


def connects(error):
    """Whether it happened while a connection was opened: in `connect`, or in what is said first on it."""
    seen = []
    while error is not None and error not in seen:
        seen.append(error)
        place = error.__traceback__
        while place is not None:
            if place.tb_frame.f_code.co_name in ("connect", "connect_check_health", "on_connect"):
                return True
            place = place.tb_next
        error = error.__cause__ or error.__context__
    return False


def cause(error):
    """Timeout, refused, unreachable or closed: the library tells them apart by its texts."""
    text = str(error).lower()
    if isinstance(error, exceptions.TimeoutError) or "timed out" in text:
        return "timeout"
    if "refused" in text:
        return "refused"
    if "no route to host" in text or "unreachable" in text:
        return "unreachable"
    return "closed"


def outcome(error):
    if isinstance(error, MasterNotFoundError):
        return "no-master"
    if isinstance(error, exceptions.ReadOnlyError) or "read only replica" in str(error):
        return "readonly"
    if isinstance(error, exceptions.BusyLoadingError):
        return "loading"
    if isinstance(error, exceptions.ResponseError):
        return str(error).split(" ")[0].lower()
    if connects(error):
        return "connect-" + cause(error)
    return "reply-timeout" if cause(error) == "timeout" else "reply-closed"


if way == "sentinels":
    client = Sentinel(addresses).master_for(master)
else:
    client = redis.Redis(host=addresses[0][0], port=addresses[0][1])

while kind == "subscribe":
    try:
        listener = client.pubsub()
        listener.subscribe(channel)
        for message in listener.listen():
            if message["type"] == "message":
                note("receive", seq=int(message["data"].split()[0]))
            else:
                note("connect", outcome="open")
    except exceptions.RedisError as error:
        note("connect", outcome=outcome(error).replace("reply-", "read-"))
        time.sleep(0.1)

seq, due = int(first), time.monotonic()
while True:
    at, began = time.time(), time.monotonic()
    rest = {}
    try:
        if kind == "publish":
            rest["receivers"] = client.publish(channel, seq)
        elif kind == "set":
            client.set(f"{keys}{seq}", seq)
        else:
            client.get(f"{keys}{seq}")
        ended = "ok"
    except exceptions.RedisError as error:
        ended = outcome(error)
    note(kind, at, seq=seq, outcome=ended, us=int((time.monotonic() - began) * 1e6), **rest)
    seq, due = seq + 1, due + int(every_us) / 1e6
    late = time.monotonic() - due
    if late < 0:
        time.sleep(-late)
    else:
        due += late
