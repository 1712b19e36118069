"""Who may connect, and what they may do: the only place that decides either.

The broker asks two questions, and `access` says who answers them. There are no accounts yet, so both are answered
with yes by not being asked; in return only this machine is let in, unless the configuration says otherwise.
"""

from collections.abc import Awaitable, Callable, Iterable
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING, NamedTuple

from fastbroker.config import Config
from fastbroker.errors import StartError
from fastbroker.transports.address import Address

if TYPE_CHECKING:
    from fastbroker.core.login import Login

# An identity is whatever the first returns; the broker only keeps it and hands it to the second.
Authenticate = Callable[["Login"], Awaitable[object] | object]
Authorize = Callable[[object, str, str], bool]


class Access(NamedTuple):
    """The two questions. None means that the broker need not ask: the answer is always yes.

    `authenticate` is asked at each CONNECT and may take its time; it raises fastbroker.core.login.LoginRefused.
    `authorize` is asked whether an identity may `"send"` to or `"subscribe"` to a destination, by its canonical name.
    """

    authenticate: Authenticate | None
    authorize: Authorize | None


def access() -> Access:
    """Who answers the two questions: nobody, as there are no accounts."""
    return Access(authenticate=None, authorize=None)


def refuse_exposed(config: Config, written: Address, hosts: Iterable[str]) -> None:
    """Raise StartError if one of the addresses behind `written` can be reached from outside and may not be.

    Behind a load balancer every address can be. A client certificate that is required keeps everybody else out.
    """
    certified = written.how.secure and config.tls.client_certificates == "required"
    if config.auth.allow_anonymous or certified:
        return
    exposed = [host for host in hosts if not is_loopback(host)]
    if exposed or written.proxied:
        where = f"{written} ({exposed[0]})" if exposed and exposed[0] not in str(written) else str(written)
        raise StartError(
            f"refusing to listen on {where}: it can be reached from other machines, and there are no accounts, so "
            "anybody there could connect. Listen on 127.0.0.1, [::1] or a Unix socket, require client certificates, or "
            "set auth.allow_anonymous = true if everybody who reaches this address may use the broker."
        )


def who_may_connect(config: Config, may: Access, addresses: Iterable[Address]) -> str:
    """Say it in a few words, for the log."""
    if may.authenticate:
        return "who logs in"
    required = config.tls.client_certificates == "required"
    certified = {each.how.secure and required for each in addresses}
    anybody = "anybody" if config.auth.allow_anonymous else "anybody on this machine"
    return " and ".join(["client certificates"] * (True in certified) + [anybody] * (False in certified))


def is_loopback(host: str) -> bool:
    """Whether a numeric address is reached from this machine only. A wildcard address is not."""
    address = ip_address(host)
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return address.is_loopback
