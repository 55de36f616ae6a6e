"""Read `claims`: which claims of a token say who somebody is."""

from __future__ import annotations

from hoopx_broker.daemon.reading import Section
from hoopx_broker.terms.settings import Claims


def claims_in(section: Section) -> Claims:
    return Claims(
        user=section.text_or("user", Claims().user),
        groups=section.text_or("groups", None),
        person=section.text_or("person", None),
    )
