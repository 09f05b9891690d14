"""Web servers of every kind, good and bad, in the network namespace of the thread that starts them."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple, Self

from support.patience import PATIENCE

STATUSES = {"/missing": 404, "/denied": 401, "/broken": 503, "/bad": 400, "/moved": 302}


class Asked(NamedTuple):
    """A request, as a server heard it."""

    path: str
    host: str | None
    authorization: str | None


class Web:
    """Servers that end together; `asked` is what the well-behaved of them have heard."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self._ending = ExitStack()
        self._is_over = threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._ending.close()

    def serve(
        self, port: int, address: str = "127.0.0.1", *, location: str = "/fine", tls: ssl.SSLContext | None = None
    ) -> None:
        """Python's own server: 200, or by the path what STATUSES says; /moved leads to `location`."""
        web = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                web.asked.append(Asked(self.path, self.headers["Host"], self.headers["Authorization"]))
                self.send_response(STATUSES.get(self.path, 200))
                self.send_header("Content-Length", "0")
                if self.path == "/moved":
                    self.send_header("Location", location)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            address_family = socket.AF_INET6 if ":" in address else socket.AF_INET

        server = Server((address, port), Handler)
        if tls:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        self._ending.callback(server.server_close)
        self._ending.callback(server.shutdown)

    def later(self, start: Callable[[], object], after: float = 0.3) -> None:
        """Starts a server in a moment."""
        timer = threading.Timer(after, start)
        timer.start()
        self._ending.callback(timer.join, PATIENCE)

    def listen(self, port: int, address: str = "127.0.0.1") -> None:
        """Takes connections, and says nothing: as a server of another protocol that waits for its client."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._ending.callback(socket.create_server((address, port), family=family).close)

    def say(self, port: int, *words: bytes, again: bytes = b"", pause: float = 0.02) -> None:
        """Says this to every client, and `again` and again; closes where there is nothing to say again."""
        server = socket.create_server(("127.0.0.1", port))
        self._ending.callback(server.close)

        def speak(client: socket.socket) -> None:
            with client, suppress(OSError):
                for word in words:
                    client.sendall(word)
                while again and not self._is_over.wait(pause):
                    client.sendall(again)

        def accept() -> None:
            with suppress(OSError):
                while True:
                    client, _ = server.accept()
                    threading.Thread(target=speak, args=(client,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()


def certificate(directory: Path, name: str = "localhost") -> Path:
    """A self-signed one with its key, both in one file; made by openssl."""
    file = directory / f"{name}.pem"
    public = file.with_suffix(".crt")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1",
         "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}", "-keyout", file, "-out", public],
        check=True, capture_output=True, timeout=PATIENCE,
    )  # fmt: skip
    file.write_bytes(file.read_bytes() + public.read_bytes())
    return file


def tls(file: Path) -> ssl.SSLContext:
    """What a server with this certificate needs."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context
