"""The files of `websocket.pages`, read once and then answered from memory: no request ever meets the file system."""

import base64
import hashlib
import mimetypes
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

from fastbroker.config import Config, Conflict
from fastbroker.errors import StartError
from fastbroker.web import http
from fastbroker.web.http import Answer, Request

MOST = 16 * 2**20
INDEX = "index.html"

HEADERS = {"Cache-Control": "no-cache", "Referrer-Policy": "no-referrer"}
# What stands in a page itself is taken by its hash: what is put into the page later is not.
_POLICY = (
    "default-src 'self'{inline}; connect-src 'self' ws: wss:; img-src 'self' data:; worker-src 'self' blob:; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_INLINE = re.compile(rb"<(script|style)\b[^>]*>(.*?)</\1\b", re.DOTALL | re.IGNORECASE)

# What browsers must be told, whatever the machine's own list of types says.
_TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".json": "application/json",
    ".map": "application/json",
    ".mjs": "text/javascript",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}
_TEXT = ("text/", "application/json", "application/manifest+json", "image/svg+xml")


def check(config: Config) -> Iterator[Conflict]:
    """Find what keeps the directory from being served."""
    try:
        Pages(config.websocket.pages)
    except StartError as error:
        yield str(error), {"websocket.pages": config.websocket.pages}


class Page(NamedTuple):
    """A file."""

    content: bytes
    content_type: str
    tag: str
    policy: str


class Pages:
    """What is there, by exact path."""

    def __init__(self, directory: str) -> None:
        """Read all files. Raises StartError."""
        try:
            self._pages = dict(_load(Path(directory).resolve())) if directory else {}
        except OSError as error:
            raise StartError(
                f"websocket.pages cannot be read: {error.filename or directory}: {error.strerror}"
            ) from None
        for path in [path for path in self._pages if path.endswith(f"/{INDEX}")]:
            self._pages[path.removesuffix(INDEX)] = self._pages[path]

    def __len__(self) -> int:
        return len(self._pages)

    def answer(self, request: Request) -> Answer | None:
        """Answer a request for one of the files."""
        page = self._pages.get(unquote(request.path))
        if page is None:
            return None
        headers = {**HEADERS, "Content-Security-Policy": page.policy, "ETag": page.tag}
        if page.tag in request.words("if-none-match"):
            return http.unchanged(headers)
        return http.found(page.content, page.content_type, headers)


def _load(directory: Path) -> Iterator[tuple[str, Page]]:
    room = MOST
    for path in _files(directory):
        room -= path.stat().st_size
        if room < 0:
            raise StartError(f"websocket.pages: the files in {directory} are larger than {MOST // 2**20} MiB together")
        content = path.read_bytes()
        tag = hashlib.sha256(content).hexdigest()[:32]
        kind = content_type(path)
        policy = _POLICY.format(inline=inline(content) if kind.startswith("text/html") else "")
        yield f"/{path.relative_to(directory).as_posix()}", Page(content, kind, f'"{tag}"', policy)


def inline(page: bytes) -> str:
    """The scripts and styles that stand in a page, as sources of a Content-Security-Policy (CSP 3, section 2.3.1)."""
    # Browsers hash what they have read, in which every line ends in LF.
    texts = dict.fromkeys(match[2] for match in _INLINE.finditer(page.replace(b"\r\n", b"\n")))
    return "".join(f" '{csp_hash(text)}'" for text in texts if text)


def csp_hash(text: bytes) -> str:
    """A script or style as a Content-Security-Policy names it."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text).digest()).decode()}"


def _files(directory: Path) -> Iterator[Path]:
    """Every file that is meant to be seen."""
    for parent, names, files in os.walk(directory, onerror=_fail):
        names[:] = sorted(name for name in names if not name.startswith("."))
        for path in (Path(parent, name) for name in sorted(files) if not name.startswith(".")):
            if not path.resolve().is_relative_to(directory):
                raise StartError(f"websocket.pages: {path} is a link that leads out of {directory}")
            if path.is_file():
                yield path


def _fail(error: OSError) -> None:
    raise error


def content_type(path: Path) -> str:
    """What kind of file it is, by its name."""
    found = _TYPES.get(path.suffix.lower()) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return f"{found}; charset=utf-8" if found.startswith(_TEXT) else found
