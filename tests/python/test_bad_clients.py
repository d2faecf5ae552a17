# SPDX-License-Identifier: Apache-2.0
"""`datastall serve` keeps answering, in bounded memory, whatever its clients do."""

from __future__ import annotations

import contextlib
import resource
import shutil
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from live import Serving, serving, until
from support import recorded, run_folders, write

REQUEST = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n"
CHUNKED = b"GET / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
#: The server's limit, connections with their buffers included (src/cli/http.h), and the texts that
#: slow readers may hold; a few MiB are there from the start.
MOST_MIB = 96
#: So long a client may take for its text (src/cli/http.c); nobody else waits for it.
SLOWEST_READER_S = 10


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Serving]:
    """Many runs to tell of: a text that does not fit a socket's buffers."""
    source = """
    import datastall
    for i in range(8):
        for _ in datastall.watch([[1]] * 5, name=f"loader number {i}"): pass
    """
    write(tmp_path, "many.py", source)
    recorded(tmp_path, "many.py")
    run = run_folders(tmp_path)[0]
    for i in range(60):
        shutil.copytree(run, run.with_name(f"20261124-0000{i:02}-copy"))
    with serving(tmp_path) as server:
        text = server.get()[2]
        assert len(text) > 1_000_000
        yield server


@pytest.fixture(autouse=True)
def many_files() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(before[1], 8192), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def connect(served: Serving) -> socket.socket:
    return socket.create_connection(("127.0.0.1", served.port), timeout=60)


def answers(served: Serving) -> None:
    """A whole text, before a slow client is cut off, and memory within its bound."""
    begin = time.monotonic()
    code, _, text = served.get()
    assert code == 200 and "datastall_build_info" in text
    assert time.monotonic() - begin < SLOWEST_READER_S - 1
    assert served.memory_kib() < MOST_MIB * 1024


def raw(served: Serving, sent: bytes, silence_s: float = 1) -> bytes:
    """What comes back, to the end of the connection or a time of silence."""
    received = b""
    with connect(served) as client:
        client.settimeout(silence_s)
        with contextlib.suppress(OSError):
            client.sendall(sent)
            while len(received) < 10_000 and (got := client.recv(65536)):
                received += got
    return received


def test_clients_that_say_nothing_or_little(served: Serving) -> None:
    slow = [connect(served) for _ in range(400)]
    for i, client in enumerate(slow):
        with contextlib.suppress(OSError):
            client.sendall(REQUEST[: i % len(REQUEST)])
    for step in range(10):
        answers(served)
        for client in slow:
            with contextlib.suppress(OSError):
                client.sendall(b"x" if step % 2 else b"\r")
        time.sleep(0.1)
    for client in slow:
        client.close()
    answers(served)


def test_ten_thousand_connections(served: Serving) -> None:
    held: list[socket.socket] = []
    for i in range(10_000):
        held.append(connect(served))
        if len(held) > 2000:
            held.pop(0).close()
        if i % 500 == 0:
            answers(served)
    answers(served)
    for client in held:
        client.close()
    answers(served)


def test_clients_that_do_not_read(served: Serving) -> None:
    """Each asks for a text of its own time, and takes a little of it now and then."""
    slow = []
    for i in range(240):
        client = connect(served)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.sendall(REQUEST + b"\r\n")
        slow.append(client)
        if i % 20 == 0:
            time.sleep(0.25)
            answers(served)
    for _ in range(5):
        for client in slow:
            with contextlib.suppress(OSError):
                client.recv(100)
        answers(served)
        time.sleep(0.2)
    # Ten seconds are enough for any reader: then they are cut off.
    until("they are cut off", lambda: open_files(served) < 20)
    answers(served)
    for client in slow:
        client.close()


def open_files(served: Serving) -> int:
    return len(list(Path(f"/proc/{served.process.pid}/fd").iterdir()))


def test_requests_that_are_too_large(served: Serving) -> None:
    header = b"X-Filler: " + b"x" * 1_000_000 + b"\r\n\r\n"
    many = b"".join(b"X-%d: y\r\n" % i for i in range(50_000)) + b"\r\n"
    path = b"GET /" + b"a" * 1_000_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n"
    for sent in (REQUEST + header, REQUEST + many, path, b"A" * 1_000_000):
        status = raw(served, sent)[9:12]
        assert status in (b"400", b"413", b"414", b"431", b""), status
        answers(served)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "GETS"])
def test_other_methods(served: Serving, method: str) -> None:
    answer = raw(served, method.encode() + REQUEST[3:] + b"Connection: close\r\n\r\n", silence_s=60)
    assert answer.startswith(b"HTTP/1.1 405 ")
    assert b"Allow: GET, HEAD\r\n" in answer


def test_what_is_no_request(served: Serving) -> None:
    cases = [
        b"\r\n" * 5000,
        b"\x00" * 5000,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x55" * 500,  # a TLS client
        b"GET\r\n\r\n",
        b"GET /metrics\r\n\r\n",
        b"GET /metrics HTTP/9.9\r\nHost: localhost\r\n\r\n",
        b"POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n"
        + b"y" * 9999,
        CHUNKED.replace(b"GET", b"POST") + b"ffffffffffffffff\r\nabc",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        CHUNKED + b"5\r\nhello\r\n0\r\n\r\n",
    ]
    for sent in cases:
        answer = raw(served, sent)
        assert not answer.startswith(b"HTTP/1.1 500"), (sent[:40], answer[:100])
    answers(served)


def test_clients_that_die(served: Serving) -> None:
    for i in range(300):
        client = connect(served)
        client.sendall(REQUEST + b"\r\n" if i % 3 else REQUEST[: 10 + i % 30])
        if i % 3 == 1:
            client.recv(10)
        # A reset instead of an orderly end, as when the client is killed.
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
    answers(served)


def test_a_thousand_scrapes_take_no_memory(served: Serving) -> None:
    for _ in range(50):
        served.get()
    before = served.memory_kib()
    for i in range(1000):
        served.get("/metrics" if i % 2 else f"/{i}")
    assert served.memory_kib() < before + 4096
