"""Which addresses a call may go to."""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

Address = IPv4Address | IPv6Address

# Where clouds hand credentials to whoever asks from the machine itself.
# Source: instance metadata pages of AWS (IPv4, IPv6, ECS), Google Cloud (IPv6), Alibaba Cloud and Azure (wire server).
_METADATA: Final = tuple(
    ip_network(net)
    for net in ("169.254.0.0/16", "fd00:ec2::254/128", "fd20:ce::254/128", "100.100.100.200/32", "168.63.129.16/32")
)
# IPv6 that stands for an IPv4 address elsewhere: who translates it, and to where, is not known here.
# Source: RFC 4291 (mapped, compatible), 2765 (translated), 6052 and 8215 (NAT64), 3056 and 7526 (6to4), 4380 (Teredo).
_TRANSITION: Final = tuple(
    ip_network(net)
    for net in (
        "::ffff:0:0/96",
        "::/96",
        "::ffff:0:0:0/96",
        "64:ff9b::/96",
        "64:ff9b:1::/48",
        "2002::/16",
        "192.88.99.0/24",
        "2001::/32",
    )
)
# Special by the IANA registries, though `is_global` of some supported Pythons says otherwise.
_SPECIAL: Final = tuple(ip_network(net) for net in ("fec0::/10", "5f00::/16", "3fff::/20", "192.0.0.0/24"))
_SHARED: Final = ip_network("100.64.0.0/10")
_LOW_32_BITS: Final = 0xFFFF_FFFF


def refusal(text: str, *, allow_private: bool) -> str | None:
    """Why a call must not go to this address, or None when it may.

    `allow_private` opens everything except the metadata services of clouds.
    """
    try:
        address = ip_address(text)
    except ValueError:
        return "is not an IP address"
    if any(candidate in net for candidate in (address, *_embedded(address)) for net in _METADATA):
        return "belongs to link-local or cloud metadata services, which are never called"
    if allow_private:
        return None
    return _kind(address)


def _kind(address: Address) -> str | None:
    tests = (
        (address == IPv6Address("::1") or address.is_loopback, "is loopback (this machine)"),
        (address.is_unspecified, "stands for any address of this machine"),
        (any(address in net for net in _TRANSITION), "carries an IPv4 address inside IPv6 or a relay for that"),
        (address in _SHARED, "is shared by a carrier (CGNAT)"),
        (address.is_link_local, "is link-local"),
        (address.is_multicast, "is multicast"),
        (address.is_private, "is private or reserved"),
        (not address.is_global or any(address in net for net in _SPECIAL), "is not public"),
    )
    return next((reason for found, reason in tests if found), None)


def _embedded(address: Address) -> Iterator[IPv4Address]:
    if isinstance(address, IPv4Address) or not any(address in net for net in _TRANSITION):
        return
    if address.sixtofour is not None:
        yield address.sixtofour
    elif address.teredo is not None:
        yield from address.teredo
    else:
        yield IPv4Address(int(address) & _LOW_32_BITS)
