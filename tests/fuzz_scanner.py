"""Feeds the wire scanner with what atheris makes up (`make fuzz`): it reads bytes, or refuses them."""

from __future__ import annotations

import sys

from service.faults import Refused
from tests.readers.wire_bytes import scan_bytes


def scan(data: bytes) -> None:
    """Scan some bytes. Any other error than Refused is a finding."""
    try:
        scan_bytes(data)
    except Refused:
        return


def main() -> None:
    """Run until atheris has had enough."""
    import atheris

    atheris.instrument_all()
    atheris.Setup(sys.argv, scan)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
