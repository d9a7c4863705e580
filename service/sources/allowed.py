"""The operator's list of what the service may fetch (RECEPTIVE_SOURCES_ALLOWED): nothing, until something is named.

An entry is the beginning of addresses (`s3://bucket/prefix/`, `https://host/folder/`, `models:/`), a bare host (all of `https://host/`), or
an IP address or network, to which names may lead. Addresses of this machine and of private networks are refused unless they are named.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from service.faults import Refused, refused_at
from service.sources.address import Address, IpAddress, literal, parse_address

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

PROTOCOLS = ipaddress.IPv4Network("192.0.0.0/24")
"""Set aside for protocols; one cloud has its metadata service there."""

LOOPBACK = (ipaddress.IPv4Network("127.0.0.0/8"), ipaddress.IPv6Network("::1/128"))


@dataclass(frozen=True, slots=True)
class Allowed:
    """The list, read: beginnings of addresses, and networks that may be reached though they are not public."""

    beginnings: tuple[Address, ...] = ()
    networks: tuple[Network, ...] = ()

    @classmethod
    def parsed(cls, text: str) -> Allowed:
        """The list that a text with commas or spaces between its entries is. ValueError where an entry is none."""
        beginnings: list[Address] = []
        networks: list[Network] = []
        for entry in text.replace(",", " ").split():
            network = _network(entry)
            if network is not None:
                networks.append(network)
                if network.num_addresses > 1:
                    continue
            for address in _beginnings(entry, network):
                beginnings.append(address)
                networks += _named(address)
        return cls(tuple(beginnings), tuple(networks))

    def check(self, address: Address, pointer: str = "/source") -> None:
        """Refused `source-unsupported` where nothing is allowed, `source-not-allowed` where this address is not."""
        if not self.beginnings:
            raise refused_at(pointer, "source-unsupported", "This service takes models from the request only.")
        if not any(_within(address, beginning) for beginning in self.beginnings):
            raise refused_at(pointer, "source-not-allowed", f"{address} is not among the places that this service may read from.")

    def vetted(self, host: str, found: Sequence[IpAddress]) -> IpAddress:
        """The one of a host's addresses to connect to. Refused `source-not-allowed` where any of them is not public and not named: a name
        that leads to both is not trusted."""
        for address in found:
            if not is_public(address) and not any(address in network for network in self.networks if network.version == address.version):
                detail = f"The host {host} leads to {address}, which is not public; the service's list has to name that address."
                raise Refused("invalid", "source-not-allowed", detail)
        if not found:
            raise Refused("source", "source-failed", f"The host {host} has no address.")
        return found[0]


def is_public(address: IpAddress) -> bool:
    """Whether an address is one of the internet at large: not of this machine, its networks, or the metadata service of a cloud."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
        if inner is None and address in ipaddress.IPv6Network("64:ff9b::/96"):
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
    return address.is_global and not address.is_multicast and address not in PROTOCOLS


def _network(entry: str) -> Network | None:
    try:
        return ipaddress.ip_network(entry.strip("[]"))
    except ValueError:
        return None


def _beginnings(entry: str, network: Network | None) -> list[Address]:
    """The addresses that begin as an entry says."""
    if ":/" in entry:
        return [_beginning(entry)]
    host = f"[{network.network_address}]" if network is not None and network.version == 6 else entry
    bare = network is not None or literal(entry.rpartition(":")[0] or entry) is not None or entry.rpartition("]")[0].startswith("[")
    return [_beginning(f"{scheme}://{host}/") for scheme in (("https", "http") if bare else ("https",))]


def _beginning(text: str) -> Address:
    try:
        return parse_address(text if text.count("/") > 2 or text.startswith("models:") else f"{text}/")
    except Refused as error:
        raise ValueError(f"RECEPTIVE_SOURCES_ALLOWED: {error.detail}") from None


def _named(address: Address) -> list[Network]:
    """The networks that an address names by itself."""
    if address.scheme not in ("https", "http"):
        return []
    if address.host == "localhost":
        return list(LOOPBACK)
    bracketed = f"[{address.host}]" if ":" in address.host else address.host
    named = literal(bracketed)
    return [] if named is None else [ipaddress.ip_network(str(named))]


def _within(address: Address, beginning: Address) -> bool:
    if (address.scheme, address.place) != (beginning.scheme, beginning.place):
        return False
    return address.path == beginning.path or not beginning.path or address.path.startswith(beginning.path.rstrip("/") + "/")
