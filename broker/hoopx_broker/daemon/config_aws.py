"""Read a target of kind `aws`: an account, a region, and nothing of what only databases have."""

from __future__ import annotations

import re
from typing import Any

from hoopx_broker.daemon.problems import Wrong
from hoopx_broker.daemon.reading import Section
from hoopx_broker.terms.targets import Target, UpstreamTls

_REGION = re.compile(r"[a-z]{2,4}(-[a-z]+)+-[0-9]{1,2}")
_ACCOUNT = re.compile(r"[0-9]{12}")
# What only a database has, and why it would do nothing here.
_OF_DATABASES = {
    "address": "AWS is reached by the client itself, not through the broker",
    "database": "an AWS account has none",
    "tls": "AWS is reached by the client itself, not through the broker",
    "classify": "no data of AWS passes through the broker, so nothing is masked",
    "masks": "no data of AWS passes through the broker, so nothing is masked",
    "mask_key": "no data of AWS passes through the broker, so nothing is masked",
    "detect": "no data of AWS passes through the broker, so nothing is masked",
    "idle": "what the keys are used for does not pass through the broker",
}


def read_aws(name: str, section: Section, common: dict[str, Any]) -> Target:
    """`common` is what every target has. The section is left open."""
    for key, why in _OF_DATABASES.items():
        if section.has(key):
            section.refuse(key, f"does not belong to a target of kind `aws`: {why}", "take it out")
    region = section.parsed("region", _region)
    account = section.parsed_or("account", _account, "")
    return Target(name=name, host="", port=0, database="", tls=UpstreamTls(), region=region, account=account, **common)


def _region(text: str) -> str:
    if not _REGION.fullmatch(text):
        raise Wrong("is not the name of a region", "for example `eu-central-1`")
    return text


def _account(text: str) -> str:
    if not _ACCOUNT.fullmatch(text):
        raise Wrong("is not the number of an account", 'write its twelve digits in quotes, as `"123456789012"`')
    return text
