"""An exchange that speaks HTTP/2 over TLS, as the real one does; what it answers is another's."""

from __future__ import annotations

import json
import shutil
import ssl
import subprocess
from contextlib import suppress
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer
from threading import Thread
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

import h2.connection
import h2.events
import pytest
from h2.config import H2Configuration
from key_exchange import Asked, KeyExchange


def certificate(folder: Path) -> Path:
    """A file with a certificate of 127.0.0.1 and its key, good for a day."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl to make a certificate with")
    key, path = folder / "key.pem", folder / "certificate.pem"
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1"]
    command = [openssl, "req", "-x509", *kind, *subject, "-keyout", str(key), "-out", str(path)]
    subprocess.run(command, check=True, capture_output=True)
    return path


class Server(ThreadingTCPServer):
    """One thread a connection."""

    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, *_: object) -> None:
        """A client that dies in the middle is no news here."""


@dataclass
class H2Exchange:
    """`with H2Exchange(behind, folder) as one:` listens on `one.url`, with `one.certificate`."""

    behind: KeyExchange
    folder: Path
    connections: list[Any] = field(default_factory=list)

    def __enter__(self) -> Self:
        self.certificate = certificate(self.folder)
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.context.load_cert_chain(self.certificate, self.folder / "key.pem")
        self.context.set_alpn_protocols(["h2"])
        self.server = Server(("127.0.0.1", 0), _handler(self))
        self.thread = Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.server.server_address[1]}/api/v4"

    def answer(self, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        """What the exchange behind says to one request."""
        parts = urlsplit(headers[":path"])
        path = parts.path.removeprefix("/api/v4")
        named = {name.title(): value for name, value in headers.items()}
        asked = Asked(headers[":method"], path, dict(parse_qsl(parts.query)), named, body.decode())
        self.behind.asked.append(asked)
        status, said = self.behind.reply(asked)
        return status, json.dumps(said).encode()


def _handler(exchange: H2Exchange) -> type[BaseRequestHandler]:
    class Handler(BaseRequestHandler):
        def handle(self) -> None:
            with (
                suppress(OSError),
                exchange.context.wrap_socket(self.request, server_side=True) as socket,
            ):
                exchange.connections.append(self.client_address)
                self.talk(socket)

        def talk(self, socket: ssl.SSLSocket) -> None:
            wire = h2.connection.H2Connection(H2Configuration(client_side=False))
            wire.initiate_connection()
            socket.sendall(wire.data_to_send())
            asked: dict[int, tuple[dict[str, str], bytearray]] = {}
            while data := socket.recv(65536):
                for event in wire.receive_data(data):
                    match event:
                        case h2.events.RequestReceived(stream_id=stream, headers=headers):
                            named = {_text(name): _text(value) for name, value in headers}
                            asked[stream] = (named, bytearray())
                        case h2.events.DataReceived(stream_id=stream, data=some):
                            asked[stream][1].extend(some)
                        case h2.events.StreamEnded(stream_id=stream):
                            self.reply(wire, stream, *asked.pop(stream))
                socket.sendall(wire.data_to_send())

        def reply(
            self,
            wire: h2.connection.H2Connection,
            stream: int,
            headers: dict[str, str],
            body: bytes,
        ) -> None:
            status, content = exchange.answer(headers, bytes(body))
            date = formatdate(exchange.behind.clock() // 10**9, usegmt=True)
            wire.send_headers(stream, [(":status", str(status)), ("date", date)])
            wire.send_data(stream, content, end_stream=True)

    return Handler


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
