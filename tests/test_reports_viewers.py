"""Who looks, and what they may see."""

from __future__ import annotations

import pytest

from cxlib.errors import UsageError
from cxlib.reports.viewers import LOCAL, Addresses, Asked, LocalDoor, ProxyDoor, Refused, Viewer, is_loopback, may_see

BEHIND = ProxyDoor(Addresses(["10.0.0.7", "192.168.0.0/24", "fd00::/8"]), "X-User", "X-Groups", ("insight",))


def asked(address: str = "10.0.0.7", **headers: str) -> Asked:
    return Asked({name.replace("_", "-"): value for name, value in headers.items()}, address, {})


def test_this_machine_sees_everything() -> None:
    assert LocalDoor().viewer(asked("127.0.0.1")) == LOCAL
    assert may_see(LOCAL, {"readers": ["leadership"]})


@pytest.mark.parametrize("header", ["X_Forwarded_For", "X_Real_Ip", "Forwarded"])
def test_what_came_through_a_proxy_is_not_this_machine(header: str) -> None:
    with pytest.raises(Refused, match="--tokens"):
        LocalDoor().viewer(asked("127.0.0.1", **{header: "203.0.113.9"}))


def test_a_proxy_says_who_it_is() -> None:
    found = BEHIND.viewer(asked(X_User="ada@example.org", X_Groups="care, leadership,,"))
    assert found == Viewer("ada@example.org", frozenset({"care", "leadership"}))
    assert BEHIND.viewer(asked("192.168.0.200", X_User="Ünal Ada", X_Groups="insight")) == Viewer(
        "Ünal Ada", frozenset({"insight"}), everything=True
    )


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        (asked("10.0.0.8", X_User="ada"), "not come from the proxy"),
        (asked("10.0.0.8", X_Groups="leadership"), "not come from the proxy"),
        (asked("127.0.0.1"), "by the proxy"),
        (asked("::ffff:10.0.0.8", X_User="ada"), "not come from the proxy"),
        (asked("no address", X_User="ada"), "not come from the proxy"),
        (asked(), "names nobody"),
        (asked(X_User="ada,eve"), "not one name"),
        (asked(X_User=" ada"), "not one name"),
        (asked(X_User="ada\x00"), "not one name"),
        (asked(X_User="a" * 300), "not one name"),
    ],
)
def test_nobody_else_is_believed(request_: Asked, why: str) -> None:
    with pytest.raises(Refused, match=why):
        BEHIND.viewer(request_)


def test_the_address_that_asked_first_is_the_last_that_is_no_proxy() -> None:
    proxies = Addresses(["10.0.0.0/24"])
    assert proxies.client("203.0.113.1", "198.51.100.7") == "203.0.113.1"  # nobody believes it
    assert proxies.client("10.0.0.1", "198.51.100.7, 203.0.113.9, 10.0.0.2") == "203.0.113.9"
    assert proxies.client("10.0.0.1", "forged, nonsense") == "10.0.0.1"
    assert proxies.client("10.0.0.1", "") == "10.0.0.1"
    assert "::ffff:10.0.0.3" in proxies


@pytest.mark.parametrize(
    ("address", "for_", "proto", "https"),
    [
        ("10.0.0.1", "203.0.113.9", "https", True),
        ("10.0.0.1", "203.0.113.9", "HTTPS", True),
        ("10.0.0.1", "203.0.113.9, 10.0.0.2", "https,http", True),  # each proxy of a row has added to both
        ("10.0.0.1", "203.0.113.9, 10.0.0.2", "http, https", False),
        ("10.0.0.1", "203.0.113.9, 10.0.0.2", "https", True),  # the second hands on what it was told
        ("10.0.0.1", "203.0.113.9", "https,http", False),  # the first is the word of nobody known
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "https, http", True),
        ("10.0.0.1", "", "https", True),
        ("10.0.0.1", "203.0.113.9", "", False),
        ("203.0.113.1", "203.0.113.9", "https", False),  # nobody believes it
    ],
)
def test_https_is_what_the_first_believed_proxy_says(address: str, for_: str, proto: str, https: bool) -> None:
    assert Addresses(["10.0.0.0/24"]).https(address, for_, proto) is https


def test_an_address_that_is_none_is_said() -> None:
    with pytest.raises(UsageError, match="300"):
        Addresses(["10.0.0.300"])
    with pytest.raises(UsageError, match="host bits"):
        Addresses(["10.0.0.7/24"])
    assert not Addresses([])


@pytest.mark.parametrize(
    ("readers", "now", "groups", "sees"),
    [
        ([], None, (), True),
        (["care"], None, ("care", "x"), True),
        (["care"], None, ("leadership",), False),
        (["care"], None, (), False),
        (["care"], (), (), True),  # params/ lead
        ([], ("care",), (), False),
        (["care"], ("leadership",), ("leadership",), True),
        ("care", None, ("c", "care"), False),  # malformed: for nobody
        ([1], None, ("1",), False),
        (None, None, (), False),
    ],
)
def test_readers_are_groups(readers: object, now: tuple[str, ...] | None, groups: tuple[str, ...], sees: bool) -> None:
    assert may_see(Viewer("ada", frozenset(groups)), {"readers": readers}, now) is sees


def test_a_report_made_before_readers_were_is_for_all() -> None:
    assert may_see(Viewer("ada"), {})


def test_loopback_is_told_from_all_else() -> None:
    assert all(is_loopback(host) for host in ("127.0.0.1", "localhost", "::1", "127.8.8.8", "LocalHost"))
    assert not any(is_loopback(host) for host in ("0.0.0.0", "::", "10.0.0.1", "cx.example.org", ""))
