"""Laws of answers by SAML: however a signed answer is changed, it says what was signed, or nothing."""

from __future__ import annotations

import copy

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from lxml import etree

from hoopx_broker.identity.declined import Declined
from hoopx_broker.identity.embedded.upstream.saml_assertions import Told, judge
from hoopx_broker.identity.jws import NotAccepted
from tests.laws.depth import examples
from tests.unit.saml_stage import assertion, expected, parsed, posted, response, signed, told, written

ANSWERS = (
    response(signed(assertion())),
    signed(response(assertion())),
    signed(response(signed(assertion()))),
)
SAID = told(ANSWERS[0])
FITS = expected()
EVIL = parsed(assertion(id="_evil", name_id="root", email="root@example.com"))

few = settings(max_examples=examples(100), suppress_health_check=[HealthCheck.too_slow], deadline=None)


def heard(xml: str | bytes) -> Told | None:
    """What is believed of it; any other error than a refusal breaks the law."""
    try:
        return judge(posted(xml), FITS)
    except (NotAccepted, Declined):
        return None


@few
@given(st.binary(max_size=400))
def test_garbage_is_refused(content: bytes) -> None:
    assert heard(content) is None


@few
@given(st.sampled_from(ANSWERS), st.data())
def test_changed_bytes_say_the_same_or_nothing(answer: str, data: st.DataObject) -> None:
    content = bytearray(answer.encode())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(content) - 1))
        length = data.draw(st.integers(0, 4))
        content[at : at + length] = data.draw(st.binary(max_size=6))
    assert heard(bytes(content)) in (None, SAID)


@few
@given(st.sampled_from(ANSWERS), st.data())
def test_moved_copied_and_forged_elements_say_the_same_or_nothing(answer: str, data: st.DataObject) -> None:
    """Wrapping in general: parts of the signed answer and of a forged assertion, put anywhere."""
    root = parsed(answer)
    for _ in range(data.draw(st.integers(1, 4))):
        elements = list(root.iter())
        target = data.draw(st.sampled_from(elements))
        taken = data.draw(st.sampled_from([*elements[1:], EVIL, *EVIL.iter()]))
        inside = (
            copy.deepcopy(taken) if data.draw(st.booleans()) or taken.getroottree() is not root.getroottree() else taken
        )
        if any(each is inside for each in [target, *target.iterancestors()]):
            inside = copy.deepcopy(taken)
        target.insert(data.draw(st.integers(0, len(target))), inside)
        if (
            data.draw(st.booleans())
            and (gone := data.draw(st.sampled_from(list(root.iter())[1:]))).getparent() is not None
        ):
            gone.getparent().remove(gone)
        if len(root) == 0:
            return
    assert heard(written(root)) in (None, SAID)


@few
@given(
    st.sampled_from(ANSWERS), st.sampled_from(["ID", "URI", "Algorithm", "Version", "Recipient"]), st.text(max_size=12)
)
@example(ANSWERS[0], "URI", "")
def test_changed_attributes_say_the_same_or_nothing(answer: str, name: str, value: str) -> None:
    for index in range(sum(1 for each in parsed(answer).iter() if name in each.attrib)):
        root = parsed(answer)
        element = [each for each in root.iter() if name in each.attrib][index]
        try:
            element.set(name, value)
        except ValueError:
            return  # no XML can hold this value
        assert heard(etree.tostring(root)) in (None, SAID)
