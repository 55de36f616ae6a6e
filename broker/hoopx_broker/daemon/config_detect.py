"""Read a target's `detect`: what is looked for in cells that nobody classified."""

from __future__ import annotations

import difflib

from hoopx_broker.daemon import values
from hoopx_broker.daemon.problems import Wrong
from hoopx_broker.daemon.reading import HOLE, Section
from hoopx_broker.masking.detectors import BUILT_IN
from hoopx_broker.masking.expressions import BadPattern, checked
from hoopx_broker.terms.masks import Detector

_ALL = "all"
_KNOWN = ", ".join(f"`{name}`" for name in sorted(BUILT_IN))


def read_detectors(target: Section) -> tuple[Detector, ...]:
    """None of them where the key is absent."""
    found = target.word_or_entries("detect", _all, _built_in, _own)
    names = [detector.name for detector in found if detector is not HOLE]
    for name in sorted({name for name in names if names.count(name) > 1}):
        target.note("detect", f"has `{name}` twice", "keep one, or give the second another name")
    return tuple(found)


def _all(text: str) -> list[Detector]:
    if text == _ALL:
        return [Detector(name) for name in BUILT_IN]
    if text in BUILT_IN:
        raise Wrong("is not a list", f"write `[{text}]`")
    raise Wrong("is neither `all` nor a list", "write `all`, or for example `[email, card]`")


def _built_in(text: str) -> Detector:
    if text not in BUILT_IN:
        near = difflib.get_close_matches(text, BUILT_IN, n=1)
        raise Wrong("is not a detector", f"did you mean `{near[0]}`?" if near else f"known are {_KNOWN}")
    return Detector(text)


def _own(section: Section) -> Detector:
    detector = Detector(section.parsed("name", _own_name), section.parsed("pattern", _pattern))
    section.close()
    return detector


def _own_name(text: str) -> str:
    if text in BUILT_IN:
        raise Wrong("is a built-in detector", "choose another name; `masks` and policies know it as a class of data")
    return values.data_class(text)


def _pattern(text: str) -> str:
    try:
        checked(text)
    except BadPattern as bad:
        raise Wrong(bad.what, bad.remedy) from None
    return text
