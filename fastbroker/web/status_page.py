"""The page at `/` of a ws:// or wss:// address without pages of one's own: what this is, and how to connect."""

from html import escape

from fastbroker.web import http
from fastbroker.web.http import Answer, Request
from fastbroker.web.pages import csp_hash

_STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --dim: #5b6675; --paper: #f6f7f9; --card: #fff; --line: #dfe3e8;
  --ok: #14804a }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8ebef; --dim: #9aa5b4; --paper: #12161c; --card: #1a2028; --line: #2c343f; --ok: #4cc38a }
}
* { box-sizing: border-box }
body { margin: 0; padding: 12vh 1.25rem 3rem; background: var(--paper); color: var(--ink);
  font: 16px/1.6 system-ui, sans-serif }
main { max-width: 52rem; margin: auto; padding: 2rem; background: var(--card); border: 1px solid var(--line);
  border-radius: 12px }
h1 { margin: 0; font-size: 1.5rem; letter-spacing: -.01em }
.ok { color: var(--ok); font-weight: 600 }
.ok::before { content: "\\25CF\\00A0" }
p { margin: .4rem 0 } .dim { color: var(--dim) }
code, pre { font: .875rem/1.7 ui-monospace, monospace }
pre { margin: 1rem 0 0; padding: 1rem; overflow-x: auto; background: var(--paper); border: 1px solid var(--line);
  border-radius: 8px }
"""

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>fastbroker</title>
<style>{style}</style>
<main>
<h1>{server}</h1>
<p class="ok">serving</p>
<p>STOMP over WebSocket is at <code>{url}</code></p>
<p class="dim">Paste this into the console of the browser's developer tools, here or in a page of your own:</p>
<pre>{snippet}</pre>
<p class="dim">Pages of other origins than {origin} may connect when <code>websocket.allowed_origins</code> names them.
With <code>@stomp/stompjs</code>, the address is its <code>brokerURL</code>.</p>
</main>
</html>
"""

# STOMP by hand: nothing need be fetched from anywhere.
_SNIPPET = """\
const socket = new WebSocket("{url}", "v12.stomp");
const send = (...lines) => socket.send(lines.join("\\n") + "\\0");
socket.onopen = () => {{
  send("CONNECT", "accept-version:1.2", "", "");
  send("SUBSCRIBE", "id:1", "destination:/topic/hello", "", "");
  send("SEND", "destination:/topic/hello", "", "hello, world");
}};
socket.onmessage = ({{ data }}) => console.log(data);"""

_POLICY = (
    f"default-src 'none'; style-src '{csp_hash(_STYLE.encode())}'; connect-src 'self' ws: wss:; "
    "frame-ancestors 'none'; base-uri 'none'"
)


def status_page(request: Request, *, server: str, path: str, secure: bool) -> Answer:
    """Answer with the page."""
    host, s = request.host or "localhost", "s" if secure else ""
    url = f"ws{s}://{host}{path}"
    shown = {
        "server": server.replace("/", " "),
        "url": url,
        "snippet": _SNIPPET.format(url=url),
        "origin": f"http{s}://{host}",
    }
    body = _PAGE.format(style=_STYLE, **{name: escape(text) for name, text in shown.items()})
    return http.found(body.encode(), "text/html; charset=utf-8", {"Content-Security-Policy": _POLICY})
