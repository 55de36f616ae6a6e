"""The AWS configuration of a child: the person's own settings, and no way to credentials but the session's."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from hoopx_broker.terms.errors import BackendFailed

# Settings by which AWS's tools come to credentials.
_CREDENTIAL = re.compile(
    r"aws_access_key_id|aws_secret_access_key|aws_session_token|aws_security_token|aws_account_id|role_arn|"
    r"source_profile|credential_source|credential_process|web_identity_token_file|role_session_name|external_id|"
    r"mfa_serial|duration_seconds|login_session|sso_\w+"
)
_SECTION = re.compile(r"\[\s*(?:profile\s+)?(?P<name>.*?)\s*\]")
MAX_CONFIG = 1_000_000
# What a broker may say of targets and regions: a line of its own in this file could start a program.
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


def own_config(environ: Mapping[str, str]) -> str:
    """What the person's own file holds; empty where there is none to read."""
    path = Path(environ.get("AWS_CONFIG_FILE") or Path.home() / ".aws" / "config").expanduser()
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(MAX_CONFIG)
    except (OSError, UnicodeDecodeError):
        return ""
    return text


def config_of(own: str, profiles: Mapping[str, str], command: Sequence[str]) -> str:
    """`own` without its credentials, and for each target of `profiles` (its region by its name) a profile.

    Those ask `command TARGET` for their keys. A profile of the person's own that has a target's name gives way.
    Raises `BackendFailed` for what is no name.
    """
    for said in (*profiles, *profiles.values()):
        if not _PLAIN.fullmatch(said):
            raise BackendFailed("the broker gave a target or its region a name that is none", "do not use this broker")
    kept = "".join(_harmless(own, set(profiles)))
    ours = (
        f"[profile {name}]\ncredential_process = {process_line(command, name)}\nregion = {region}\n"
        for name, region in profiles.items()
    )
    return "\n".join([kept, *ours])


def process_line(command: Sequence[str], target: str) -> str:
    return shlex.join([*command, target])


def file_in(folder: Path, text: str) -> Path:
    path = folder / "config"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def _harmless(own: str, taken: set[str]) -> Iterator[str]:
    """Line by line, as AWS's tools read it: what is indented deeper than a setting belongs to it, and goes with it."""
    keeps = goes = is_setting = False
    indent = 0
    for line in own.splitlines(keepends=True):
        text = line.strip()
        depth = len(line) - len(line.lstrip())
        if text and text[0] not in "#;" and not (is_setting and depth > indent):
            indent = depth
            if section := _SECTION.match(text):
                keeps, goes, is_setting = section["name"] not in taken, False, False
                keeps = keeps and not section["name"].startswith("sso-session")
            else:
                goes, is_setting = bool(_CREDENTIAL.fullmatch(_name_in(text))), True
        if keeps and not goes:
            yield line if line.endswith("\n") else line + "\n"


def _name_in(setting: str) -> str:
    return re.split(r"[=:]", setting, maxsplit=1)[0].strip().lower()
