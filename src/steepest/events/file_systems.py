"""The file system of a URL: fsspec's, with time limits for web servers and Arrow's client for S3.

S3 is read by Arrow, which comes with steepest. ``s3fs`` would hold ``botocore`` and, with it,
other packages at old versions. Who may read is what the AWS tools know as well: the environment
(``AWS_ACCESS_KEY_ID``, ``AWS_PROFILE``, …) and ``~/.aws``; without any of it, requests are not
signed, as public buckets allow. ``AWS_ENDPOINT_URL`` names another server than Amazon's.
"""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import urlsplit

import fsspec
from fsspec.config import conf

from steepest.errors import EventsError, MissingExtraError

__all__ = ["SILENCE", "file_system_of"]

SILENCE = 30.0
"""Seconds after which a server that sends nothing is given up, for this attempt."""
_S3 = ("s3", "s3a")


def file_system_of(url: str) -> tuple[Any, str]:
    """Return the file system of a URL, with fsspec's interface, and the path in it.

    Raises
    ------
    EventsError
        The kind of URL is not known, or its package is not installed.
    MissingExtraError
        The package of an extra is not installed.
    """
    scheme, _, path = url.partition("://")
    scheme = scheme.lower()
    try:
        if scheme in _S3:
            return _s3(path.partition("/")[0]), path
        return fsspec.url_to_fs(url, **(_web_options(scheme) if "http" in scheme else {}))
    except ImportError as error:
        if scheme in ("http", "https"):
            raise MissingExtraError("remote", "aiohttp", f"Reading {scheme}://") from None
        raise EventsError(
            f"Reading {url} needs a package for {scheme}://, which is not installed.",
            found=str(error).splitlines()[0],  # fsspec's, with the name of the package
            do="pip install fsspec-xrootd" if scheme == "root" else "install it",
        ) from None
    except ValueError:
        raise EventsError(
            f"{scheme}:// of {url} is not known.",
            expected="https://, s3://, root://, hf:// or another file system of fsspec",
            do="check the path",
        ) from None


def _web_options(scheme: str) -> dict[str, Any]:
    """Return options with a limit to silence: aiohttp would wait for five minutes."""
    from aiohttp import ClientTimeout

    given = conf.get(scheme, {}).get("client_kwargs", {})
    silence = ClientTimeout(total=None, sock_connect=SILENCE, sock_read=SILENCE)
    return {"client_kwargs": {"timeout": silence, **given}}


def _s3(bucket: str) -> Any:
    """Return the file system of S3, of Amazon or of ``AWS_ENDPOINT_URL``."""
    from fsspec.implementations.arrow import ArrowFSWrapper
    from pyarrow.fs import AwsStandardS3RetryStrategy, S3FileSystem, resolve_s3_region

    options: dict[str, Any] = {}
    names = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
    endpoint = next((os.environ[name] for name in names if os.environ.get(name)), "")
    if endpoint:
        server = urlsplit(endpoint if "://" in endpoint else f"https://{endpoint}")
        options = {"scheme": server.scheme, "endpoint_override": server.netloc}
    elif not (os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")):
        options = {"region": resolve_s3_region(bucket)}
    once = AwsStandardS3RetryStrategy(max_attempts=1)  # `patiently` repeats, with what it says
    client = S3FileSystem(
        retry_strategy=once, connect_timeout=SILENCE, request_timeout=SILENCE, **options
    )

    class S3(ArrowFSWrapper):
        def walk(self, path: str, *args: Any, on_error: Any = "raise", **options: Any) -> Any:
            """Fail where a folder cannot be listed; fsspec's globs would leave its files out."""
            return super().walk(path, *args, on_error=on_error, **options)

    return S3(client, skip_instance_cache=True)
