"""Objects of S3, Google Cloud Storage and Azure as sources: what is wanted of them is fetched by ranges."""

from __future__ import annotations

import obstore
from obstore.exceptions import BaseError, NotFoundError
from obstore.store import ObjectStore

from service.faults import Refused

READ_ERRORS = (BaseError, OSError)
"""What obstore raises where an object cannot be read."""


class ObjectSource:
    """An object, read by ranges. OSError where it cannot be read, or is not what it was when it was found (its ETag)."""

    def __init__(self, store: ObjectStore, path: str) -> None:
        self._store, self._path = store, path
        try:
            found = obstore.head(store, path)
        except NotFoundError:
            raise
        except BaseError as error:
            raise OSError(summary(error)) from error
        self._size, self.etag = found["size"], found["e_tag"]

    @property
    def size(self) -> int:
        """The number of bytes when the object was found."""
        return self._size

    def read(self, offset: int, length: int) -> bytes:
        """Exactly `length` bytes from `offset` on; Refused `truncated-model` where the object ends before."""
        missing = offset + length - self._size
        if missing > 0:
            raise Refused("malformed", "truncated-model", f"The file ends {missing} bytes before the end of a value at offset {offset}.")
        if not length:
            return b""
        try:
            options = {"range": (offset, offset + length), "if_match": self.etag}
            data = bytes(obstore.get(self._store, self._path, options=options).bytes())  # type: ignore[arg-type]
        except BaseError as error:
            raise OSError(summary(error)) from error
        if len(data) != length:
            raise OSError(f"got {len(data)} bytes of {self._path}; expected {length}")
        return data


def summary(error: Exception) -> str:
    """The first line of what obstore says; the rest is for its authors."""
    return str(error).partition("\n")[0]
