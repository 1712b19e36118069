"""The files of `websocket.pages`: which are there, what is said of them, and which directories are refused."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

import pytest

from fastbroker.errors import StartError
from fastbroker.web import pages
from fastbroker.web.http import Answer, Request
from fastbroker.web.pages import Pages, content_type


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A directory such as people have."""
    for name, text in {
        "index.html": "top",
        "a/index.html": "below",
        "a/b/c.js": "script",
        "żółć x.txt": "name",
        ".git/config": "hidden",
        ".env": "hidden",
        "a/.htpasswd": "hidden",
    }.items():
        path = tmp_path / "site" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "site"


def ask(site: Path, path: str, **headers: str) -> Answer | None:
    named = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return Pages(str(site)).answer(Request("GET", path, "1.1", (("host", "x"), *named)))


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("/", "top"),
        ("/index.html", "top"),
        ("/?query", "top"),
        ("/a/", "below"),
        ("/a/b/c.js", "script"),
        ("/%C5%BC%C3%B3%C5%82%C4%87%20x.txt", "name"),
    ],
)
def test_exact_paths(site: Path, path: str, content: str) -> None:
    answer = ask(site, path)
    assert answer
    assert answer.body.decode() == content


@pytest.mark.parametrize(
    "path",
    [
        "/.env",
        "/.git/config",
        "/a/.htpasswd",
        "/a",
        "/a/b",
        "/a/b/",
        "//index.html",
        "/./index.html",
        "/a/../index.html",
        "/..%2f..%2fetc/passwd",
        "/%2e%2e/site/index.html",
        "/../site/index.html",
        "/index.html%00",
        "/INDEX.HTML",
        "/\\index.html",
    ],
)
def test_nothing_else(site: Path, path: str) -> None:
    assert ask(site, path) is None


def test_what_is_said_of_a_page(site: Path) -> None:
    answer = ask(site, "/")
    assert answer
    for line in (
        "Content-Type: text/html; charset=utf-8",
        "X-Content-Type-Options: nosniff",
        "Cache-Control: no-cache",
        "Content-Length: 3",
    ):
        assert f"\r\n{line}\r\n".encode() in answer.head
    policy = next(line for line in answer.head.split(b"\r\n") if line.startswith(b"Content-Security-Policy: "))
    for part in (b"default-src 'self'", b"connect-src 'self' ws: wss:", b"frame-ancestors 'none'"):
        assert part in policy
    assert b"unsafe" not in policy


def test_what_stands_in_a_page_itself_is_allowed(site: Path) -> None:
    """And nothing else that does not come from a file."""
    texts = ("one()", "\ntwo()\n", "p { color: red }")
    (site / "index.html").write_bytes(
        b'<script src="a/b/c.js"></script><SCRIPT type="module">one()</SCRIPT>\r\n'
        b"<script>\r\ntwo()\r\n</script><style>p { color: red }</style>"
    )
    assert policy(site, "/") == ["'self'", *(f"'sha256-{digest(text)}'" for text in texts)]
    assert policy(site, "/a/") == ["'self'"]
    assert policy(site, "/a/b/c.js") == ["'self'"]


def policy(site: Path, path: str) -> list[str]:
    """Where scripts and styles of a page may come from."""
    answer = ask(site, path)
    assert answer
    found = re.search(rb"Content-Security-Policy: default-src ([^;]*);", answer.head)
    assert found
    return found[1].decode().split()


def digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def test_what_the_client_has_is_not_sent_again(site: Path) -> None:
    first = ask(site, "/")
    assert first
    tag = next(line for line in first.head.split(b"\r\n") if line.startswith(b"ETag: "))[6:].decode()
    again = ask(site, "/", if_none_match=f'"other", {tag}')
    assert again
    assert again.head.startswith(b"HTTP/1.1 304 ")
    assert not again.body
    (site / "index.html").write_text("new")
    changed = ask(site, "/", if_none_match=tag)
    assert changed
    assert changed.body == b"new"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.html", "text/html; charset=utf-8"),
        ("a.js", "text/javascript; charset=utf-8"),
        ("a.MJS", "text/javascript; charset=utf-8"),
        ("a.css", "text/css; charset=utf-8"),
        ("a.svg", "image/svg+xml; charset=utf-8"),
        ("a.json", "application/json; charset=utf-8"),
        ("a.png", "image/png"),
        ("a.woff2", "font/woff2"),
        ("a.unheard-of", "application/octet-stream"),
        ("a", "application/octet-stream"),
    ],
)
def test_content_types(name: str, expected: str) -> None:
    assert content_type(Path(name)) == expected


def test_links_within_are_followed(site: Path) -> None:
    (site / "link.js").symlink_to(site / "a/b/c.js")
    answer = ask(site, "/link.js")
    assert answer
    assert answer.body == b"script"


@pytest.mark.parametrize("target", ["/etc/passwd", "../outside", "a/../../outside"])
def test_links_that_lead_out_are_refused(site: Path, target: str) -> None:
    (site.parent / "outside").write_text("secret")
    (site / "link").symlink_to(target)
    with pytest.raises(StartError, match=r"link is a link that leads out"):
        Pages(str(site))


def test_links_to_directories_are_not_followed(site: Path) -> None:
    (site / "up").symlink_to(site.parent)
    assert ask(site, "/up/site/index.html") is None


def test_too_much_is_refused(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "MOST", 2**20)
    (site / "large").write_bytes(bytes(2**20 - len("top" + "below" + "script" + "name")))
    assert Pages(str(site)).answer(Request("GET", "/large", "1.1", ()))
    (site / "one more").write_bytes(b"x")
    with pytest.raises(StartError, match="larger than 1 MiB together"):
        Pages(str(site))


def test_a_directory_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(StartError, match=r"websocket\.pages cannot be read"):
        Pages(str(tmp_path / "missing"))
    (tmp_path / "file").touch()
    with pytest.raises(StartError, match=r"websocket\.pages cannot be read"):
        Pages(str(tmp_path / "file"))


def test_no_directory_is_no_pages() -> None:
    assert Pages("").answer(Request("GET", "/", "1.1", ())) is None
