"""From what a sample of a column looks like, and from its name, to the class that it may hold. Says less than wrong."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Literal

from msgspec import Struct, field

from hoopx_broker.masking.typed import STARS
from hoopx_broker.terms.targets import ColumnName

# What the type of a column lets its values be.
Kind = Literal["text", "number", "address", "date"]
Classes = Callable[[str], Iterable[str]]

# A class is believed where at least so many values look like it, and at least this share of all that are not NULL.
MIN_HITS = 3
MIN_SHARE = 0.5

# What detectors find, with what people call one such value. Where a value looks like several, the first counts.
_LOOKS = {
    "private-key": "a private key",
    "jwt": "a JWT",
    "cloud-key": "a cloud key",
    "token": "a token",
    "iban": "an IBAN",
    "email": "an e-mail address",
    "card": "a card number",
    "national-id": "a national identity number",
    "ip": "an IP address",
    "phone": "a phone number",
}
_BY_NAME = {
    "email": "email e_mail email_address e_mail_address mail_address contact_email user_email",
    "phone": "phone phone_number phone_no telephone telephone_number mobile mobile_phone mobile_number cell_phone",
    "card": "card_number card_no credit_card credit_card_number creditcard cc_number pan",
    "iban": "iban iban_number",
    "national-id": "ssn social_security_number social_security_no national_id national_id_number passport_number"
    " passport_no tax_id tax_number personal_identity_number",
    "ip": "ip ip_address ip_addr client_ip remote_ip remote_addr last_login_ip",
    "token": "api_key access_token refresh_token auth_token session_token bearer_token api_token",
    "name": "first_name last_name full_name middle_name given_name family_name maiden_name surname forename firstname"
    " lastname fullname",
    "birth-date": "birth_date birthdate birthday date_of_birth dob birth_day",
    "address": "address street street_address street_name home_address postal_address billing_address shipping_address"
    " delivery_address address_line address_line1 address_line2 address_line_1 address_line_2 address1 address2",
    "password": "password passwd password_hash passwd_hash hashed_password pass_hash passphrase encrypted_password",
}
_CLASS_OF_NAME = {name: kind for kind, names in _BY_NAME.items() for name in names.split()}
# `name` is of a person where the table is about people.
_PEOPLE = frozenset({
    "applicant", "candidate", "client", "contact", "customer", "driver", "employee", "guest", "member", "passenger",
    "patient", "people", "person", "staff", "student", "subscriber", "teacher", "user",
})  # fmt: skip
_OF_KIND: dict[Kind, frozenset[str]] = {
    "text": frozenset(_BY_NAME),
    "number": frozenset({"card", "phone", "national-id"}),
    "address": frozenset({"ip"}),
    "date": frozenset({"birth-date"}),
}
# Any number and any date may look like much: of a number only what has a checksum is believed, of a date nothing.
_DETECTED: dict[Kind, frozenset[str]] = {
    "number": frozenset({"card"}),
    "address": frozenset({"ip"}),
    "date": frozenset(),
}


class Column(Struct, frozen=True):
    """A column that may hold personal data, by its type."""

    name: ColumnName
    kind: Kind


class Sample(Struct):
    """What is kept of the values of a column: how many there were, how many were masked or looked like what."""

    values: int = 0
    masked: int = 0
    hits: Counter[str] = field(default_factory=Counter)

    def add(self, value: str, classes: Classes) -> None:
        self.values += 1
        self.masked += STARS in value
        self.hits.update(classes(value))

    @property
    def is_masked(self) -> bool:
        """A column behind a mask tells nothing, and needs no class to be hidden."""
        return self.masked > MIN_SHARE * self.values


class Proposal(Struct, frozen=True):
    """A class for a column, and why."""

    column: ColumnName
    data_class: str
    why: str


def propose(column: Column, sample: Sample) -> Proposal | None:
    """By its values, or else by its name."""
    found = _by_values(column.kind, sample)
    if found is not None:
        looks = _LOOKS.get(found, f"`{found}`")
        return Proposal(column.name, found, f"{sample.hits[found]} of {sample.values} values look like {looks}")
    named = _by_name(column)
    return None if named is None else Proposal(column.name, named, "by its name")


def _by_values(kind: Kind, sample: Sample) -> str | None:
    believed = [
        name
        for name, hits in sample.hits.items()
        if hits >= max(MIN_HITS, MIN_SHARE * sample.values) and name in _DETECTED.get(kind, (name,))
    ]
    order = list(_LOOKS)
    believed.sort(key=lambda name: (-sample.hits[name], order.index(name) if name in order else len(order), name))
    return believed[0] if believed else None


def _by_name(column: Column) -> str | None:
    name = _words(column.name.column)
    kind = _CLASS_OF_NAME.get(name)
    if name == "name" and _singular(_words(column.name.table)) in _PEOPLE:
        kind = "name"
    return kind if kind in _OF_KIND[column.kind] else None


def _words(name: str) -> str:
    """`firstName`, `First-Name` and `first name` as `first_name`."""
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return re.sub(r"[\W_]+", "_", parted).strip("_").lower()


def _singular(name: str) -> str:
    return name.removesuffix("s")
