import pytest

from wsaios.engines.http.addresses import refusal


@pytest.mark.parametrize(
    "address, word",
    [
        ("127.0.0.1", "loopback"),
        ("127.8.9.1", "loopback"),
        ("::1", "loopback"),
        ("0.0.0.0", "any address"),  # noqa: S104 - an address to refuse
        ("::", "any address"),
        ("10.1.2.3", "private"),
        ("172.16.0.1", "private"),
        ("192.168.1.1", "private"),
        ("fd12:3456::1", "private"),
        ("100.64.0.1", "carrier"),
        ("fe80::1", "link-local"),
        ("fe80::1%eth0", "link-local"),
        ("224.0.0.1", "multicast"),
        ("ff0e::1", "multicast"),
        ("240.0.0.1", "reserved"),
        ("255.255.255.255", "reserved"),
        ("198.51.100.7", "private or reserved"),
        ("2001:db8::1", "private or reserved"),
        ("192.0.0.1", "private or reserved"),
        ("fec0::1", "not public"),
        ("3fff::1", "not public"),
        ("::ffff:127.0.0.1", "inside IPv6"),
        ("::ffff:8.8.8.8", "inside IPv6"),
        ("::7f00:1", "inside IPv6"),
        ("64:ff9b::7f00:1", "inside IPv6"),
        ("64:ff9b:1::a00:1", "inside IPv6"),
        ("2002:7f00:1::", "inside IPv6"),
        ("2001:0:1::1", "inside IPv6"),
        ("192.88.99.1", "relay"),
        ("localhost", "not an IP address"),
        ("", "not an IP address"),
    ],
)
def test_addresses_that_are_not_public_are_refused_with_their_kind(address: str, word: str) -> None:
    reason = refusal(address, allow_private=False)
    assert reason is not None
    assert word in reason


@pytest.mark.parametrize("address", ["93.184.216.34", "8.8.8.8", "2606:4700::1111", "2a00:1450::1"])
def test_public_addresses_pass(address: str) -> None:
    assert refusal(address, allow_private=False) is None


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "10.1.2.3", "fd12:3456::1", "100.64.0.1", "::ffff:10.0.0.1"])
def test_private_addresses_pass_when_they_are_allowed(address: str) -> None:
    assert refusal(address, allow_private=True) is None


@pytest.mark.parametrize("allow_private", [False, True])
@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "169.254.170.2",
        "fd00:ec2::254",
        "fd20:ce::254",
        "100.100.100.200",
        "168.63.129.16",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::1",
        "::a9fe:a9fe",
    ],
)
def test_metadata_services_are_refused_whatever_is_allowed(address: str, allow_private: bool) -> None:
    reason = refusal(address, allow_private=allow_private)
    assert reason is not None
    assert "metadata" in reason
