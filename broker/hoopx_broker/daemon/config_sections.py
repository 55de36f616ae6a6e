"""Read the sections at the top of the file that credential plugins share: where Vault is, which AWS account it is."""

from __future__ import annotations

from typing import Any

from hoopx_broker.daemon.plugins import section_names, section_shape
from hoopx_broker.daemon.reading import Section
from hoopx_broker.daemon.references import References


def read_sections(top: Section, references: References) -> dict[str, Any]:
    """Those that are there, by name; a hole for one that is not sound.

    Read before everything that may refer to them: references of their own lead to the environment and files only.
    """
    found: dict[str, Any] = {}
    for name in section_names():
        section = top.section_or_none(name)
        if section is not None:
            found[name] = section.options(section_shape(name), ())
            section.close()
    for name, options in found.items():
        references.know(name, options)
    return found
