"""Models that lie elsewhere: found by their address, and opened again by their identity.

1. Nothing is fetched that the operator's list does not allow, also where it is a registry that names the place.
2. An identity says where the bytes are and of which version: `object:ADDRESS#VERSION`, or `run:RUN#ADDRESS#VERSION` for a version of a
   registry, so that two names of one run are one model. No address has a `#`.
3. What was found is handed over to whoever opens it soon afterwards, so that no byte is fetched twice.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from service.faults import Refused
from service.report.identity import Identity
from service.sources.address import OBJECTS, Address, parse_address
from service.sources.allowed import Allowed
from service.sources.http import HttpObject
from service.sources.local import Source
from service.sources.mlflow import MAX_DESCRIPTION_BYTES, OWN, Registry
from service.sources.pinned import PinnedHost, Resolve, look_up
from service.sources.ranges import RangedSource, Ranges

MAX_FOUND = 8
"""Files that were found and are kept open for whoever opens them."""


@dataclass(frozen=True, slots=True)
class Found:
    """A file that lies elsewhere, open for reading."""

    identity: Identity
    source: RangedSource


class Versioned(Ranges, Protocol):
    """An object of a known version."""

    @property
    def version(self) -> str:
        """What tells this version from others."""


class LaterSource:
    """A file that is opened when it is first read."""

    def __init__(self, open_it: Callable[[], RangedSource]) -> None:
        self._open = open_it
        self._opened: RangedSource | None = None

    @property
    def source(self) -> RangedSource:
        """The file, open. Refused where it cannot be had."""
        if self._opened is None:
            self._opened = self._open()
        return self._opened

    @property
    def size(self) -> int:
        """The number of bytes there are."""
        return self.source.size

    @property
    def bytes_fetched(self) -> int:
        """The bytes that were fetched so far."""
        return self.source.bytes_fetched

    def read(self, offset: int, length: int) -> bytes:
        """Exactly `length` bytes from `offset` on."""
        return self.source.read(offset, length)


class Sources:
    """Where models may come from: the operator's list, and the registry's server. `spool` is a directory for files that are taken whole,
    which have at most `max_bytes`."""

    def __init__(self, allowed: str, registry: str, spool: Path, max_bytes: int, resolve: Resolve = look_up) -> None:
        self._allowed, self._resolve = Allowed.parsed(allowed), resolve
        self._registry = parse_address(registry) if registry else None
        self._spool, self._max_bytes = spool, max_bytes
        self._found: OrderedDict[Identity, RangedSource] = OrderedDict()
        self._lock = threading.Lock()

    def check(self, text: str, pointer: str = "/source") -> Address:
        """The address that a text is, if the list allows it. Refused as `parse_address` and `Allowed.check` say."""
        address = parse_address(text, pointer)
        self._allowed.check(address, pointer)
        return address

    def find(self, address: Address) -> Found:
        """The model at an address that was checked. Refused `source-…` where it cannot be had."""
        if address.is_folder:
            raise Refused("invalid", "source-address", f"{address} is a folder; POST /v1/batches takes those.")
        return self._registered(address) if address.scheme == "models" else self._object(address)

    def beside(self, identity: Identity, name: str) -> Found | None:
        """The file of that bare name in the folder of a model; None where there is none."""
        run, place, _ = _parts(identity)
        try:
            if place.startswith(OWN):
                return self._own(run, f"{place.rpartition('/')[0]}/{name}")
            return self._object(self.check(str(parse_address(place).beside(name))), run)
        except Refused as error:
            if error.code in ("source-not-found", "source-address"):
                return None
            raise

    def hand_over(self, found: Found) -> None:
        """Keep a file open for whoever opens its identity next; whoever found it reads it no more."""
        with self._lock:
            self._found[found.identity] = found.source
            while len(self._found) > MAX_FOUND:
                self._found.popitem(last=False)

    def later(self, identity: Identity) -> Source:
        """The file of an identity, opened when it is first read."""
        return LaterSource(lambda: self.open(identity))

    def open(self, identity: Identity) -> RangedSource:
        """The file of an identity. Refused `source-changed` where it is another by now, and as `find` says."""
        with self._lock:
            found = self._found.pop(identity, None)
        if found is not None:
            return found
        run, place, version = _parts(identity)
        if place.startswith(OWN):
            return self._own(run, place).source
        return self._object(self.check(place), run, version).source

    def page(self, address: Address, after: str | None) -> tuple[list[Address], str | None]:
        """The models of one page of a folder or of the registry, and what asks for the page after it (None where nothing follows)."""
        if address.scheme == "models":
            return self._server(address).page(address.path.rstrip("/"), after)
        if address.scheme not in OBJECTS:
            raise Refused("invalid", "source-address", f"{address} cannot be listed; only buckets and the registry can.")
        from service.sources.buckets import list_objects

        return list_objects(address, after)

    def _object(self, address: Address, run: str = "", version: str | None = None) -> Found:
        """An object at an address that was checked."""
        ranges: Versioned
        if address.scheme in OBJECTS:
            ranges = _stored_object(address, version)
        else:
            vetted = self._allowed.vetted(address.host, self._resolve(address.host, address.port))
            ranges = HttpObject(PinnedHost(address, vetted), address, version)
        identity = Identity("run", f"{run}#{address}#{ranges.version}") if run else Identity("object", f"{address}#{ranges.version}")
        return Found(identity, RangedSource(ranges))

    def _registered(self, address: Address) -> Found:
        server = self._server(address)
        registered = server.find(address)
        if registered.folder.startswith(OWN):
            description = server.own_file(f"{registered.folder}/MLmodel", MAX_DESCRIPTION_BYTES)
            return self._own(registered.run, f"{registered.folder}/{server.model_file(description, address)}")
        folder = self.check(f"{registered.folder}/MLmodel")
        described = self._object(folder).source
        description = described.read(0, min(described.size, MAX_DESCRIPTION_BYTES))
        return self._object(self.check(f"{registered.folder}/{server.model_file(description, address)}"), registered.run)

    def _own(self, run: str, place: str) -> Found:
        """A file that the registry's server hands out. What a run has made does not change, so the run is its version."""
        server = self._server(Address("models", "", ""))
        return Found(Identity("run", f"{run}#{place}#"), RangedSource(server.spooled(place, self._spool, self._max_bytes)))

    def _server(self, address: Address) -> Registry:
        """The registry's server, which the operator named, wherever it is."""
        if self._registry is None:
            raise Refused("invalid", "source-unsupported", f"{address} is in a registry, and this service knows none.")
        vetted = self._resolve(self._registry.host, self._registry.port)[0]
        return Registry(PinnedHost(self._registry, vetted), self._registry)


def _parts(identity: Identity) -> tuple[str, str, str]:
    """The run ("" for an object), the address and the version of an identity."""
    run, value = ("", identity.value) if identity.kind == "object" else identity.value.split("#", 1)
    place, version = value.split("#", 1)
    return run, place, version


def _stored_object(address: Address, version: str | None) -> Versioned:
    """An object of a bucket. What reads those is an extra, and is loaded when it is first needed."""
    try:
        from service.sources.buckets import StoreObject
    except ImportError:
        raise Refused("invalid", "source-unsupported", "This installation lacks obstore, which reads object stores.") from None
    return StoreObject(address, version)
