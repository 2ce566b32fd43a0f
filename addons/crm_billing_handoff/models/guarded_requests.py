"""Requests to addresses that people typed: never into our own network."""

import ipaddress
import socket
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

# Networks whose addresses end in one of the old kind (RFC 4291, 6052, 2765).
EMBEDDING = [
    ipaddress.ip_network(text) for text in ("::/96", "64:ff9b::/96", "::ffff:0:0:0/96")
]


class ForbiddenHost(ValueError):
    """The address leads somewhere a request must not go; the text says why."""


def is_public(address: str) -> bool:
    """Return whether an IP address belongs to the open internet.

    An address of the old kind inside one of the new kind counts as what it is.
    """
    ip = ipaddress.ip_address(address.split("%")[0])
    inner = getattr(ip, "ipv4_mapped", None) or getattr(ip, "sixtofour", None)
    if any(ip in network for network in EMBEDDING if network.version == ip.version):
        inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    local = getattr(ip, "is_site_local", False) or ip.is_multicast or ip.is_reserved
    if inner:
        return inner.is_global and not inner.is_multicast
    return ip.is_global and not local


def check_address(address: str) -> None:
    if not is_public(address):
        raise ForbiddenHost(
            f"{address} is inside a private network. An administrator can allow it."
        )


class _Guarded:
    """Look at the peer once it is connected, before anything is sent to it.

    A name may be answered with another address from one second to the next: only what
    the socket is really connected to counts.
    """

    def _new_conn(self):
        connection = super()._new_conn()
        try:
            check_address(connection.getpeername()[0])
        except BaseException:
            connection.close()
            raise
        return connection


class _GuardedHTTP(_Guarded, HTTPConnection):
    pass


class _GuardedHTTPS(_Guarded, HTTPSConnection):
    pass


class _HTTPPool(HTTPConnectionPool):
    ConnectionCls = _GuardedHTTP


class _HTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _GuardedHTTPS


class _GuardedAdapter(HTTPAdapter):
    def init_poolmanager(self, *args, **kwargs):
        result = super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {
            "http": _HTTPPool,
            "https": _HTTPSPool,
        }
        return result


class GuardedSession(requests.Session):
    """A session that refuses private, loopback and link-local hosts.

    :param allowed: an address whose host an administrator vouches for; where it
        redirects to is looked at like any other
    """

    def __init__(self, allowed=None):
        super().__init__()
        self.trust_env = False  # no proxy, no .netrc: neither would be looked at
        self._allowed = self._get_origin(allowed) if allowed else None
        self.mount("http://", _GuardedAdapter())
        self.mount("https://", _GuardedAdapter())
        if self._allowed:
            self.mount(self._allowed, HTTPAdapter())

    def get(self, url, **kwargs):
        """Ask, once the address has proven harmless.

        :raise ForbiddenHost: it is not
        """
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ForbiddenHost("An address starts with https:// or http://.")
        if self._get_origin(url) != self._allowed:
            self._check_host(parts)
        return super().get(url, **kwargs)

    def _get_origin(self, url):
        parts = urlsplit(url)
        return f"{parts.scheme}://{parts.netloc}/".lower()

    def _check_host(self, parts):
        try:
            port = parts.port or 443
            found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError, ValueError):
            raise requests.ConnectionError("unknown host") from None
        for *_rest, address in found:
            check_address(address[0])
