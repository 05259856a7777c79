"""S3-compatible storage, as the environment describes it; needs the extra `s3`."""

from __future__ import annotations

import os
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import (
    BotoCoreError,
    NoCredentialsError,
)
from s3fs import S3FileSystem

from cq.errors import StorageUnreachable

ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")


class Storage(S3FileSystem):  # type: ignore[misc, unused-ignore]
    """What is there now, and one clear line where there is no answer."""

    async def _call_s3(self, method: str, *akwarglist: Any, **kwargs: Any) -> Any:
        try:
            return await super()._call_s3(method, *akwarglist, **kwargs)
        except NoCredentialsError as error:
            raise StorageUnreachable(
                endpoint(), "no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
            ) from error
        except BotoCoreError as error:
            raise StorageUnreachable(endpoint(), type(error).__name__) from error


@cache
def storage(*, remembers: bool = False) -> Storage:
    """The one that this process talks to; listings are not remembered: others write too.

    One that `remembers` is for DuckDB, which asks for the same ones view by view; whoever lets it
    ask anew calls `invalidate_cache` before.
    """
    return Storage(
        use_listings_cache=remembers,
        skip_instance_cache=True,
        config_kwargs={"connect_timeout": 5, "read_timeout": 60, "retries": {"max_attempts": 2}},
    )


def endpoint() -> str:
    """Host and port that is spoken to, without what a login in an address would tell."""
    for name in ENDPOINTS:
        if said := os.environ.get(name):
            parts = urlsplit(said)
            return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)
    return "Amazon S3"
