"""What an object store says when it refuses, in plain words, and what to do about it."""

from __future__ import annotations

import errno
import re

from cxlib.errors import StoreError

_KEYS = "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment, or what your provider asks for."
_NO_BUCKET = r"NoSuchBucket|bucket does not exist|ContainerNotFound|list request.*status code: 404"
# A pattern of what the libraries say, what it means, and what to do; the first that fits.
_KNOWN = (
    (
        _NO_BUCKET,
        "there is no such bucket",
        "Make the bucket, or mend `{what}` in workspace.yml.",
    ),
    (
        r"scheme is not allowed|builder error",
        "its endpoint is plain http",
        "Name an https endpoint in AWS_ENDPOINT_URL, or allow it: AWS_ALLOW_HTTP=true.",
    ),
    (r"169\.254\.169\.254|metadata\.google|MissingCredentials|no credential", "no credentials are known", _KEYS),
    (
        r"InvalidAccessKeyId|SignatureDoesNotMatch|InvalidToken|ExpiredToken|AuthFailure|status code: 401",
        "the credentials are refused",
        _KEYS,
    ),
    (r"AccessDenied|status code: 403", "access is denied", "Ask its owner for the right to read and write there."),
    (
        r"PermanentRedirect|AuthorizationHeaderMalformed|status code: 301",
        "it lies in another region",
        "Set AWS_REGION in the environment.",
    ),
    (
        r"error sending request|[Tt]imed? ?out|[Cc]onnection|dns error",
        "it cannot be reached",
        "Is the endpoint right (AWS_ENDPOINT_URL), and is the network up?",
    ),
)


def is_of_storage(error: BaseException) -> bool:
    """Say whether an error comes from a store or a disk, and is no defect of the program."""
    return isinstance(error, OSError | ValueError) or type(error).__module__.startswith(("obstore", "_internal"))


def of_bucket(error: BaseException) -> bool:
    """Say whether an error means that the bucket itself is not there."""
    return re.search(_NO_BUCKET, plain(error)) is not None


def explain(url: str, error: BaseException, what: str = "store") -> StoreError:
    """Return what to tell of an error that a store, or this machine's disk while it was used, has raised.

    `what` names what lies at the URL, as workspace.yml does.
    """
    if isinstance(error, OSError) and error.errno is not None:  # of the system, not of a library
        full = error.errno == errno.ENOSPC
        where = f"{error.filename}: " if error.filename and not full else ""
        why = "the disk of this machine is full" if full else f"{where}{error.strerror}"
        return StoreError(f"the {what} {url} cannot be used: {why}", hint="Free some space, then try again." * full)
    said = plain(error).split("Debug source")[0].strip()
    for pattern, meaning, hint in _KNOWN:
        if re.search(pattern, said):
            return StoreError(f"the {what} {url} cannot be used: {meaning}", hint=hint.format(what=what))
    if isinstance(error, FileNotFoundError):
        missing = re.search(r"location (.*?) not found", said)
        lost = missing[1] if missing else "an object"
        return StoreError(f"{lost} is missing in the {what} {url}", hint=f"Restore the {what} from a backup.")
    return StoreError(f"the {what} {url} cannot be used: {said}")


def plain(error: BaseException) -> str:
    """Return the words of an error on one line: delta-rs writes colours and line ends."""
    return re.sub(r"\x1b\[[0-9;]*m", "", " ".join(str(error).split()))
