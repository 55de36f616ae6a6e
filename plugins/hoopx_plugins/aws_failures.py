"""Say what went wrong at AWS and what to do. AWS's own text may quote a signature or a token: it stays here."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from hoopx_broker.terms.errors import BackendFailed, HoopxError
from hoopx_plugins.aws_account import AwsAccount

# Who was refused what: names only.
_REFUSED = re.compile(r"User: (arn:[\w+=,.@:/-]{1,700}) is not authorized to perform: ([\w-]+:\w+)", re.ASCII)
_CODE = re.compile(r"\w[\w.]{0,99}", re.ASCII)

_CREDENTIALS = "give the broker credentials: a role of its machine, AWS_* in its environment, or `aws.profile`"
_CLOCK = "set the clock of the broker's machine (NTP): AWS takes no request that is more than 5 minutes off"
_LIMIT = "AWS counts inline policy, ARNs and tags together: shorten `session_policy` or the rules' `aws_policy`"

# By botocore's names of its own exceptions: what happened, what to do.
_OF_BOTOCORE = {
    "NoCredentialsError": ("the broker has no AWS credentials", _CREDENTIALS),
    "PartialCredentialsError": ("the broker's AWS credentials lack a part", _CREDENTIALS),
    "CredentialRetrievalError": ("the broker's AWS credentials could not be fetched", _CREDENTIALS),
    "ProfileNotFound": ("there is no such profile in the broker's AWS files", "correct `aws.profile`, or add it there"),
    "TokenRetrievalError": ("the broker's own login to AWS has ended", "log in again on the broker's machine"),
    "SSOTokenLoadError": ("the broker's own login to AWS has ended", "log in again on the broker's machine"),
    "UnauthorizedSSOTokenError": ("the broker's own login to AWS has ended", "log in again on the broker's machine"),
    "SSLError": (
        "AWS's certificate is not one that the broker believes",
        "set `aws.ca` to the authority of `endpoint`",
    ),
    "ProxyConnectionError": ("the proxy towards AWS cannot be reached", "see HTTPS_PROXY in the broker's environment"),
}
_NEVER_ASKED = ("EndpointConnectionError", "ConnectTimeoutError")
_UNREACHABLE = (*_NEVER_ASKED, "ConnectionClosedError", "ReadTimeoutError")
_THROTTLED = (
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestLimitExceeded",
    "TooManyRequestsException",
)

# By AWS's codes. What a source alone can meet, it looks up before these.
_OF_AWS = {
    "ExpiredToken": ("the broker's own AWS credentials have expired", _CREDENTIALS),
    "InvalidClientTokenId": ("AWS does not know the broker's access key, or not in this region", _CREDENTIALS),
    "UnrecognizedClientException": ("AWS does not know the broker's access key, or not in this region", _CREDENTIALS),
    "InvalidAccessKeyId": ("AWS does not know the broker's access key", _CREDENTIALS),
    "SignatureDoesNotMatch": ("AWS does not take the signature: the secret key or the clock is wrong", _CLOCK),
    "InvalidSignatureException": ("AWS does not take the signature: the secret key or the clock is wrong", _CLOCK),
    "RequestExpired": ("AWS takes the request for too old", _CLOCK),
    "RequestTimeTooSkewed": ("the broker's clock is not AWS's", _CLOCK),
    "RequestInTheFuture": ("the broker's clock is not AWS's", _CLOCK),
    "RegionDisabledException": ("the region is switched off for this account", "correct `aws.region`, or switch it on"),
    "MalformedPolicyDocument": (
        "AWS does not take the session policy for one",
        "correct `session_policy` or `aws_policy`",
    ),
    "PackedPolicyTooLarge": ("the session policy is too large once packed", _LIMIT),
    "NoSuchEntity": ("there is no such role, or it has no such policy", "correct `role`"),
    "IDPCommunicationError": (
        "AWS could not reach the identity provider",
        "its keys must be readable from the internet",
    ),
}

_ABOUT_CREDENTIALS = frozenset(
    ("NoCredentialsError", "CredentialRetrievalError", "ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId")
)


class NothingMade(BackendFailed):
    """AWS refused, or was never asked: there is nothing to end."""


def is_about_credentials(error: Exception, own: Collection[str] = ()) -> bool:
    """Is what the broker holds no good, so that others may have been put in their place by now?

    `own` are codes that this source has for something else: a person's token that has expired is none of the broker's.
    """
    return bool(_ABOUT_CREDENTIALS & {type(error).__name__, _code(error)}) and _code(error) not in own


def told(
    error: Exception, source: str, target: str, account: AwsAccount, own: dict[str, tuple[str, str]] | None = None
) -> HoopxError:
    """As `BackendFailed`. `own` explains codes of AWS that only this source meets, before all others."""
    if isinstance(error, HoopxError):
        return error
    what, remedy = _explained(error, account, own or {})
    kind = NothingMade if _is_certain(error) else BackendFailed
    return kind(f"the source `{source}` of target `{target}` failed: {what}", remedy)


def _is_certain(error: Exception) -> bool:
    """Is it known that AWS made nothing? Not where an answer is missing, or AWS stumbled."""
    if type(error).__name__ in (*_OF_BOTOCORE, *_NEVER_ASKED):
        return True
    response = getattr(error, "response", None)
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) if isinstance(response, dict) else 0
    return 400 <= status < 500


def _explained(error: Exception, account: AwsAccount, own: dict[str, tuple[str, str]]) -> tuple[str, str]:
    name = type(error).__name__
    if name in _UNREACHABLE:
        where = account.endpoint or f"AWS in `{account.region}`"
        return f"{where} cannot be reached", "see the broker's way there, and whether `aws.region` is right"
    if name in _OF_BOTOCORE:
        return _OF_BOTOCORE[name]
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        return _answered(response.get("Error", {}), own)
    return f"unexpected {name}", "look at the broker's log, and at the settings of `aws`"


def _code(error: Exception) -> str:
    response = getattr(error, "response", None)
    return str(response.get("Error", {}).get("Code", "")) if isinstance(response, dict) else ""


def _answered(error: dict[str, Any], own: dict[str, tuple[str, str]]) -> tuple[str, str]:
    code, message = str(error.get("Code", "")), str(error.get("Message", ""))
    for known in (own, _OF_AWS):  # some services write `Exception` behind the same words
        for each in (code, code.removesuffix("Exception")):
            if each in known:
                return known[each]
    if code in _THROTTLED:
        return (
            "AWS throttles the broker, and went on doing so",
            "wait a minute; ask AWS for more, or open fewer at once",
        )
    if code in ("AccessDenied", "AccessDeniedException", "403"):
        return _refused(message)
    if code == "ValidationError" and "DurationSeconds" in message:
        return _too_long(message)
    shown = code if _CODE.fullmatch(code) else "an unknown code"
    return f"AWS answered `{shown}`", "look this code up in AWS's documentation, and the request in CloudTrail"


def _refused(message: str) -> tuple[str, str]:
    found = _REFUSED.search(message)
    if found is None:
        return (
            "AWS refuses access",
            "let the broker's identity do it: by its own policy, and by the trust policy of a role",
        )
    who, action = found.groups()
    match action:
        case "sts:TagSession":
            remedy = "allow `sts:TagSession` in the role's trust policy too, or write `tags: off`"
        case "sts:SetSourceIdentity":
            remedy = "allow `sts:SetSourceIdentity` in the role's trust policy too, or write `source_identity: off`"
        case "sts:AssumeRole":
            remedy = (
                f"is `role` right? Then let its trust policy name `{who}`, and a policy of `{who}` allow `{action}`"
            )
        case _:
            remedy = f"allow `{action}` in a policy of `{who}`"
    return f"AWS does not let `{who}` do `{action}`", remedy


def _too_long(message: str) -> tuple[str, str]:
    if "role chaining" in message:
        return "a role that was assumed by a role has at most one hour", "write `max_duration: 1h`"
    return "the role allows shorter sessions only", "lower `max_duration`, or raise the role's MaxSessionDuration"
