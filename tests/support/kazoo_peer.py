"""A ZooKeeper client of kazoo's, driven by lines of JSON: what 1.0 would do, done by its own library.

Each line on standard input is {"do": name, ...}; each answer is one line, {"ok": value} or {"error": name}.
"""

import base64
import json
import socket
import struct
import sys
import threading
import time

from kazoo.client import KazooClient
from kazoo.exceptions import NoNodeError
from kazoo.security import make_acl

tls = json.loads(sys.argv[3]) if len(sys.argv) > 3 else {}
client = KazooClient(hosts=sys.argv[1], timeout=float(sys.argv[2]), **tls)


def look(path):
    """Everything that can be compared of a znode; None if there is none."""
    try:
        data, stat = client.get(path)
        acls, _ = client.get_acls(path)
    except NoNodeError:
        return None
    return {
        "data": base64.b64encode(data).decode(),
        "ephemeralOwner": str(stat.ephemeralOwner),
        "version": stat.version,
        "acl": [[acl.perms, acl.id.scheme, acl.id.id] for acl in acls],
    }


def put(path, data):
    """Makes an ephemeral znode with the parents it needs."""
    client.create(path, base64.b64decode(data), ephemeral=True, makepath=True)


def make(path, text, ephemeral=False, sequence=False):
    """Makes a znode of any kind with the parents it needs; answers its path."""
    return client.create(path, text.encode(), ephemeral=ephemeral, sequence=sequence, makepath=True)


def read_all(path):
    """The values of all children, by their names; nothing where there is no such znode."""
    try:
        names = client.get_children(path)
        return {name: client.get(f"{path}/{name}")[0].decode() for name in names}
    except NoNodeError:
        return {}


def allow(path, all):
    """Lets everybody do everything with a znode, or nothing but change that again."""
    client.set_acls(path, [make_acl("world", "anyone", all=all, admin=True)])


def take_over(path, data):
    """Puts an ephemeral znode in the place of another's, in one transaction."""
    transaction = client.transaction()
    transaction.delete(path)
    transaction.create(path, base64.b64decode(data), ephemeral=True)
    failed = [result for result in transaction.commit() if isinstance(result, Exception)]
    if failed:
        raise failed[0]


def payload(host, port, metadata):
    """A node's data in 1.0's form, as Python's own json writes it."""
    peer = {"name": host, "ip": "127.0.0.1", "port": 1024}
    node = {"host": host, "ip": "127.0.0.1", "port": port}
    node["peer"] = json.dumps(peer, sort_keys=True)
    node["metadata"] = json.dumps(metadata, sort_keys=True)
    return base64.b64encode(json.dumps(node, sort_keys=True).encode()).decode()


watched = {"looks": 0, "absent": 0, "owners": []}


def observe(path):
    """From now on looks at a znode again and again, and notes whose it is, and each time that it is not there."""

    def look_on():
        while True:
            stat = client.exists(path)
            watched["looks"] += 1
            if stat is None:
                watched["absent"] += 1
            elif str(stat.ephemeralOwner) not in watched["owners"][-1:]:
                watched["owners"].append(str(stat.ephemeralOwner))

    threading.Thread(target=look_on, daemon=True).start()


def password(session):
    """What ZooKeeper's servers hold a session's password to be: java.util.Random of its id and a constant of theirs."""
    seed = ((session ^ 0xB3415C00) ^ 0x5DEECE66D) & ((1 << 48) - 1)
    words = []
    for _ in range(4):
        seed = (seed * 0x5DEECE66D + 0xB) & ((1 << 48) - 1)
        words.append((seed >> 16) & 0xFFFFFFFF)
    return b"".join(word.to_bytes(4, "little") for word in words)


def end_session(session, address):
    """Ends another client's session: takes it over and closes it, again if its owner was back in between."""
    host, port = address.split(":")
    connect = struct.pack(">iqiqi", 0, 0, 10_000, int(session), 16) + password(int(session)) + b"\0"
    close = struct.pack(">ii", 1, -11)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        heard = b""
        with socket.create_connection((host, int(port)), timeout=20) as thief:
            try:
                thief.sendall(b"".join(struct.pack(">i", len(frame)) + frame for frame in (connect, close)))
                while data := thief.recv(4096):
                    heard += data
            except ConnectionError:
                pass
        # The length, the protocol's version, the granted timeout: none if the session is over.
        if len(heard) >= 12 and struct.unpack_from(">i", heard, 8)[0] <= 0:
            return
    raise TimeoutError(f"session {session} has not ended")


def fill(path, count):
    """Makes so many children that are valid nodes, a thousand at a time."""
    for start in range(0, count, 1_000):
        transaction = client.transaction()
        for number in range(start, min(start + 1_000, count)):
            port = number % 60_000 + 1
            node = {"host": f"n{number}", "ip": "127.0.0.1", "port": port}
            transaction.create(f"{path}/n{number}:{port}", json.dumps(node).encode())
        failed = [result for result in transaction.commit() if isinstance(result, Exception)]
        if failed:
            raise failed[0]


COMMANDS = {
    "fill": fill,
    "end_session": end_session,
    "start": lambda: client.start(timeout=20),
    "stop": lambda: client.stop(),
    "session": lambda: str(client.client_id[0]),
    "look": look,
    "put": put,
    "make": make,
    "read_all": read_all,
    "allow": allow,
    "take_over": take_over,
    "set": lambda path, data: client.set(path, base64.b64decode(data)) and None,
    "delete": lambda path: client.delete(path),
    "children": lambda path: sorted(client.get_children(path)),
    "payload": payload,
    "observe": observe,
    "observed": lambda: watched,
    # The way that Python's own library writes a node, to hold ours against.
    "dumps": lambda value: json.dumps(value, sort_keys=True),
}

for line in sys.stdin:
    request = json.loads(line)
    command = COMMANDS[request.pop("do")]
    try:
        answer = {"ok": command(**request)}
    except Exception as error:  # pylint: disable=broad-except -- whatever it is, the test wants to know.
        answer = {"error": f"{type(error).__name__} {error}"}
    print(json.dumps(answer), flush=True)
