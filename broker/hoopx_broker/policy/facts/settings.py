"""Settings whose change a rule must see: what a session may be turned into by SET, BEGIN and set_config."""

from __future__ import annotations

from hoopx_broker.policy.facts.grammar import Node
from hoopx_broker.policy.facts.walk import Walk

_WHO_ONE_IS = ("role", "session_authorization")
_READ_ONLY = ("transaction_read_only", "default_transaction_read_only")
_ON = ("on", "true", "yes", "1", "t", "y")
# Only UTF-8 is read here. In SJIS, GBK and their like an ASCII byte may be half of a character, which moves the end
# of a string from where the reader sees it.
_ENCODINGS = ("utf8", "utf-8", "unicode")


def set_setting(walk: Walk, name: str, value: str | None) -> None:
    """`value` is None where it is computed, a list, or taken over (SET … FROM CURRENT)."""
    name = name.lower()
    walk.found.setting(name)
    value = value.lower() if value is not None else ""
    if name in _WHO_ONE_IS:
        walk.found.dangerous.add("role")
    elif name in _READ_ONLY and value not in _ON:
        walk.found.dangerous.add("read-write")
    elif name == "client_encoding" and value not in _ENCODINGS:
        walk.found.dangerous.add("encoding")


def literal(argument: Node) -> str | None:
    """The text of a constant, cast or not; None for anything that is computed."""
    while "TypeCast" in argument:
        argument = argument["TypeCast"]["arg"]
    constant = argument.get("A_Const", {})
    if "ival" in constant:
        return str(constant["ival"].get("ival", 0))
    text = argument.get("String") or constant.get("sval")
    return None if text is None else str(text.get("sval", ""))
