"""`python -m service.api.openapi`: writes openapi.yaml, the description of the HTTP interface."""

from __future__ import annotations

import tempfile
from pathlib import Path

from service.api import create_app
from service.api.services import EXTENSION
from service.settings import Settings


def main() -> None:
    """Writes openapi.yaml into the working directory."""
    with tempfile.TemporaryDirectory() as directory:
        app = create_app(Settings(data_dir=Path(directory), log_level="WARNING"))
        Path("openapi.yaml").write_bytes(app.test_client().get("/openapi.yaml").data)
        app.extensions[EXTENSION].close()


if __name__ == "__main__":
    main()
