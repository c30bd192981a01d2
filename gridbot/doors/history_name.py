"""What may be named as the place of a fleet's history (`fleet.history`): a directory, or a bucket of S3. Pure."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["S3", "place_problem"]

S3: Final = "s3://"
_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]\Z")
_PREFIX: Final = re.compile(r"[A-Za-z0-9!_.*'()/=-]*\Z")


def place_problem(place: str) -> str:
    """What is expected instead of this place; "" when it may be one. Never has the text: keys may be in it."""
    if place.startswith(S3):
        bucket, _, prefix = place.removeprefix(S3).partition("/")
        if not _BUCKET.match(bucket) or not _PREFIX.match(prefix) or ".." in prefix.split("/"):
            return "s3://BUCKET or s3://BUCKET/PREFIX without keys or options, which the environment or a profile has"
        return ""
    if "://" in place or place.lower().startswith("s3:"):
        return "a directory that all hosts share, or s3://BUCKET/PREFIX"
    return ""
