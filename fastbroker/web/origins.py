"""Which web pages may connect. Browsers let every page connect to every server, and say which page it is."""

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import ip_address

from fastbroker.web.http import Request, origin


class Origins:
    """Those of the broker's own address, and those that are named."""

    def __init__(self, allowed: Iterable[str]) -> None:
        """`*` is every page."""
        allowed = frozenset(allowed)
        self._all = "*" in allowed
        self._allowed = {origin(each) for each in allowed if each != "*"}

    def may_connect(self, request: Request, *, secure: bool, local: str) -> bool:
        """Whether the page that asks may. Programs, which name none, always may; `local` is our end's address."""
        named = request.all("origin")
        if not named or self._all:
            return True
        return len(named) == 1 and self.lets_in(named[0], request.host, secure=secure, local=local)

    def lets_in(self, named: str | None, host: str, *, secure: bool, local: str) -> bool:
        """Whether a page of that origin may connect to us as `host`; None is a program, which always may."""
        if named is None or self._all:
            return True
        found = origin(named)
        return found is not None and (found in self._allowed or found == _own(host, secure, local))


def _own(host: str, secure: bool, local: str) -> tuple[str, str, int] | None:
    """The origin of pages that come from where the client connected to, as far as that can be believed.

    An attacker's page at http://evil.example:15674 whose name suddenly means 127.0.0.1 reaches a broker that only this
    machine should, with evil.example as its origin and as our name. So there we go by no names but the machine's.
    """
    found = origin(f"{'https' if secure else 'http'}://{host}")
    if found is None or (is_loopback(local) and not is_loopback(found[1])):
        return None
    return found


@lru_cache(512)
def is_loopback(host: str) -> bool:
    """Whether a host can only be this machine, whoever resolves its name (RFC 6761, section 6.3)."""
    try:
        address = ip_address(host)
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback
