"""How replies are recorded: without a key, a token or an account in the file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import vcr

HIDDEN = "hidden"
SECRET_FIELDS = ("client_id", "client_secret", "login", "password")
SECRET_HEADERS = ("authorization", "cookie", "set-cookie")
_TOKEN = re.compile(rb'("access_token"\s*:\s*)"[^"]*"')


def recorder(folder: Path, mode: str = "none") -> Any:
    """A VCR that keeps its cassettes in `folder`; `mode` none replays and never asks."""
    return vcr.VCR(
        cassette_library_dir=str(folder),
        record_mode=vcr.mode(mode),
        filter_headers=[(name, HIDDEN) for name in SECRET_HEADERS],
        filter_post_data_parameters=[(name, HIDDEN) for name in SECRET_FIELDS],
        before_record_response=_without_tokens,
        decode_compressed_response=True,
    )


def _without_tokens(response: dict[str, Any]) -> dict[str, Any]:
    content = response["body"]["string"]
    hidden = _TOKEN.sub(rb'\1"' + HIDDEN.encode() + b'"', content)
    headers = {
        name: [HIDDEN] if name.lower() in SECRET_HEADERS else values
        for name, values in response["headers"].items()
    }
    return response | {"body": {"string": hidden}, "headers": headers}
