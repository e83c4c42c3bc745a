"""Addresses and free ports of this node."""

import fcntl
import socket
import struct

_ADDRESS_OF_INTERFACE = 0x8915
"""SIOCGIFADDR of netdevice(7)."""


class NoAddress(Exception):
    """No address at which other nodes could reach this one; the message says what to do."""


def own_address(interface: str | None, *, alone: bool) -> str:
    """This node's IPv4 address, of ``interface`` where one is named; ``alone``: no other node has to reach it."""
    if interface is not None:
        address = _address_of(interface)
        if address is None:
            names = ", ".join(name for _, name in socket.if_nameindex())
            raise NoAddress(
                f"--interface {interface}: {socket.gethostname()} has no such interface with an address; it has {names}"
            )
        return address
    for address in (_address_of_host_name(), _address_of_default_route()):
        if address is not None and not address.startswith("127."):
            return address
    if alone:
        return "127.0.0.1"
    raise NoAddress(
        f"{socket.gethostname()} has no address but its loopback's, which other nodes cannot reach; name the network "
        f"with --interface"
    )


def interface_of(address: str) -> str | None:
    """The name of the interface that has this address."""
    return next((name for _, name in socket.if_nameindex() if _address_of(name) == address), None)


def free_port(address: str) -> int:
    """A port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


def _address_of(interface: str) -> str | None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            request = struct.pack("256s", interface.encode()[:15])
            return socket.inet_ntoa(fcntl.ioctl(probe.fileno(), _ADDRESS_OF_INTERFACE, request)[20:24])
        except OSError:
            return None


def _address_of_host_name() -> str | None:
    try:
        return socket.gethostbyname(socket.gethostname())
    except OSError:
        return None


def _address_of_default_route() -> str | None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("10.255.255.255", 1))  # nothing is sent
            return str(probe.getsockname()[0])
        except OSError:
            return None
