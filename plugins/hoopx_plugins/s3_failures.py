"""Say what went wrong at S3 and what to do. S3's own text may quote a signature or a policy: it stays there."""

from __future__ import annotations

import re
from typing import Any

from hoopx_broker.seams.store import NotStored, StillKept, StoreFailed, Unfit
from hoopx_broker.terms.errors import HoopxError

_CODE = re.compile(r"\w[\w.]{0,99}", re.ASCII)

_CREDENTIALS = (
    "give the broker credentials: a role of its machine, AWS_* in its environment, or keys in `evidence.store`"
)
_CLOCK = "set the clock of the broker's machine (NTP): S3 takes no request that is more than 15 minutes off"
_REGION = "set `evidence.store.region` to the region of the bucket"
_WAIT = "nothing is lost: recordings wait in the spool, and are tried again"
_KMS = "see whether `evidence.store.kms_key` is enabled, and lets the broker use it to encrypt and decrypt"
_MAY = (
    "let the broker's identity do what docs/stores.md lists, on this bucket and prefix; look at the bucket's policy too"
)

# By botocore's names of its own exceptions: what happened, what to do.
_OF_BOTOCORE = {
    "NoCredentialsError": ("the broker has no AWS credentials", _CREDENTIALS),
    "PartialCredentialsError": ("the broker's AWS credentials lack a part", _CREDENTIALS),
    "CredentialRetrievalError": ("the broker's AWS credentials could not be fetched", _CREDENTIALS),
    "ProfileNotFound": ("there is no such profile in the broker's AWS files", "correct `profile`, or add it there"),
    "SSLError": ("its certificate is not one that the broker believes", "set `evidence.store.ca` to its authority"),
    "ProxyConnectionError": ("the proxy on the way cannot be reached", "see HTTPS_PROXY in the broker's environment"),
}
_UNREACHABLE = (
    "EndpointConnectionError",
    "ConnectTimeoutError",
    "ConnectionClosedError",
    "ReadTimeoutError",
    "ResponseStreamingError",
    "IncompleteReadError",
    "HTTPClientError",
)
_THROTTLED = ("SlowDown", "Throttling", "ThrottlingException", "RequestLimitExceeded", "TooManyRequests", "503")
_REFUSED = ("AccessDenied", "403", "AllAccessDisabled", "AccountProblem")
_ELSEWHERE = ("PermanentRedirect", "301", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException")
_MISSING = ("NoSuchKey", "NoSuchVersion", "404")

# By S3's codes.
_OF_S3 = {
    "ExpiredToken": ("the broker's own AWS credentials have expired", _CREDENTIALS),
    "InvalidAccessKeyId": ("S3 does not know the broker's access key", _CREDENTIALS),
    "SignatureDoesNotMatch": ("S3 does not take the signature: the secret key or the clock is wrong", _CLOCK),
    "RequestTimeTooSkewed": ("the broker's clock is not S3's", _CLOCK),
    "RequestExpired": ("S3 takes the request for too old", _CLOCK),
    "InternalError": ("S3 stumbled", _WAIT),
    "ServiceUnavailable": ("S3 is not available", _WAIT),
    "InvalidObjectState": ("it was moved to an archive", "restore it there, then try again"),
    "BadDigest": ("bytes were changed on their way", _WAIT),
    "XAmzContentChecksumMismatch": ("bytes were changed on their way", _WAIT),
    "InvalidStorageClass": ("the bucket takes no such storage class", "correct `evidence.store.storage_class`"),
}


def told(error: Exception, where: str, name: str = "") -> HoopxError:
    """As a `StoreFailed` or `Unfit` that names the place, and `name` where one object was meant."""
    if isinstance(error, HoopxError):
        return error
    code, kind = code_of(error), type(error).__name__
    if code == "NoSuchBucket":
        return Unfit(f"there is no bucket for `{where}`", "make it, or correct `recordings`")
    if code in _ELSEWHERE:
        return Unfit(f"the bucket of `{where}` is in another region", _REGION)
    if code in _MISSING and name:
        return NotStored(f"`{name}` is not in `{where}`", "was it deleted there? The log tells what hoopx deleted")
    what, remedy = _explained(code, kind)
    return StoreFailed(f"the store `{where}` failed: {what}", remedy)


def still_kept(where: str, name: str, why: str) -> StillKept:
    return StillKept(
        f"`{where}` does not let `{name}` be deleted: {why}", "it can be deleted after that; nobody can now"
    )


def code_of(error: Exception) -> str:
    response: Any = getattr(error, "response", None)
    return str(response.get("Error", {}).get("Code", "")) if isinstance(response, dict) else ""


def is_missing(error: Exception) -> bool:
    return code_of(error) in _MISSING


def is_refused(error: Exception) -> bool:
    return code_of(error) in _REFUSED


def _explained(code: str, kind: str) -> tuple[str, str]:
    if kind in _UNREACHABLE:
        return "it cannot be reached", "see the broker's way there, and `region` and `endpoint` in `evidence.store`"
    if kind in _OF_BOTOCORE:
        return _OF_BOTOCORE[kind]
    if code in _OF_S3:
        return _OF_S3[code]
    if code in _THROTTLED:
        return "it throttles the broker", _WAIT
    if code in _REFUSED:
        return "it refuses access", _MAY
    if code.startswith("KMS."):
        return "the KMS key cannot be used", _KMS
    if code == "404":
        return "there is no such bucket", "make it, or correct `recordings`"
    if code:
        shown = code if _CODE.fullmatch(code) else "an unknown code"
        return f"it answered `{shown}`", "look this code up in the documentation of S3"
    return f"unexpected {kind}", "look at the broker's log, and at the settings of `evidence.store`"
