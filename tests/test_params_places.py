"""The taxonomy's other names: which touchpoint a name belongs to, and every name that says two things."""

from __future__ import annotations

from pathlib import Path

import pytest

from cxlib import params
from cxlib.params import places
from cxlib.params.models import Touchpoint

WORKSPACE = "company: Acme\n"


def point(name: str, **more: object) -> Touchpoint:
    """Return a touchpoint of which only what is given matters."""
    return Touchpoint(id=name, title=name, group="service", stage="retention", stream="experience", **more)


POINTS = {
    found.id: found
    for found in (
        point("support_phone", names=("Tel", "hotline_*", "phone"), order_channels=("telesales",)),
        point("support_chat", names=("chat?", "*_chat"), order_channels=("chat",)),
        point("web_shop"),
    )
}


@pytest.mark.parametrize(
    ("name", "touchpoint", "rule"),
    [
        ("support_chat", "support_chat", places.ID),  # an id, though a pattern takes it, too
        ("tel", "support_phone", places.NAME),
        (" TEL ", "support_phone", places.NAME),
        ("Hotline_Madrid", "support_phone", places.PATTERN),
        ("hotline_chat", "support_phone", places.PATTERN),  # two patterns take it: the first in the file counts
        ("chat1", "support_chat", places.PATTERN),
        ("chat12", "chat12", places.NOWHERE),
        ("Web_Shop", "Web_Shop", places.NOWHERE),  # ids are taken as they are written
        ("fax", "fax", places.NOWHERE),
    ],
)
def test_a_name_is_placed_by_id_then_name_then_pattern(name: str, touchpoint: str, rule: str) -> None:
    assert places.place(name, POINTS) == (touchpoint, rule)


def test_orders_are_placed_by_their_channel() -> None:
    assert places.sold_at(POINTS) == {"telesales": "support_phone", "chat": "support_chat"}


FAULTY = """\
version: 2
touchpoints:
  web:
    {title: Web, group: during, stage: purchase, stream: engage, kind: billing}
  tel:
    title: Telephone
    group: service
    kind: suport
    stage: retention
    stream: experience
    names:
      - tel
      - WEB
      - hotline
      - hotline
      - "*"
      - "a[b]*"
    order_channels: [phone]
  chat:
    title: Chat
    group: service
    kind: support
    stage: retention
    stream: experience
    names: [Hotline, Chat]
    order_channels: [phone]
"""
SAID = """\
params/touchpoints.yml:4: touchpoints.web.kind: 'billing' is no kind of during: staff, store, online, catalogue, reviews, point_of_sale; it is one of after
params/touchpoints.yml:8: touchpoints.tel.kind: 'suport' is no kind of service: support, loyalty_programme, onboarding, self_service, chatbot; did you mean 'support'?
params/touchpoints.yml:12: touchpoints.tel.names[1]: 'tel' is the touchpoint's own id: leave it out
params/touchpoints.yml:13: touchpoints.tel.names[2]: 'WEB' is the id of another touchpoint: a row with that name is there
params/touchpoints.yml:15: touchpoints.tel.names[4]: 'hotline' is listed twice: keep one
params/touchpoints.yml:16: touchpoints.tel.names[5]: '*' takes every name there is
params/touchpoints.yml:17: touchpoints.tel.names[6]: 'a[b]*': a pattern has * and ?, no brackets and no backslash
params/touchpoints.yml:25: touchpoints.chat.names[1]: 'Hotline' is claimed by 'tel', too: keep one
params/touchpoints.yml:26: touchpoints.chat.order_channels[1]: 'phone' is claimed by 'tel', too: keep one
"""  # noqa: E501


def test_every_fault_of_a_taxonomy_is_told_at_once(tmp_path: Path) -> None:
    folder = tmp_path / "params"
    folder.mkdir()
    (folder / "workspace.yml").write_text(WORKSPACE, encoding="utf-8")
    (folder / "touchpoints.yml").write_text(FAULTY, encoding="utf-8")
    assert "\n".join(map(str, params.check(tmp_path))) + "\n" == SAID


def test_the_shipped_taxonomy_says_what_kind_each_touchpoint_is() -> None:
    found = params.load(Path(__file__).resolve().parents[1]).touchpoints
    assert all(one.kind in places.KINDS[one.group] for one in found.values())
    assert {one.kind for one in found.values()} == {kind for kinds in places.KINDS.values() for kind in kinds}
