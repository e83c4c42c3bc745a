"""What networks can do by their data sheets: priors of the step-time law where the user names one.

Bytes a second are those of the link of a device, or of a node where it joins nodes, in one direction; latencies those
of a message between two processes of a collective library, which are several times the wire's. Real sums reach a half
to all of it, which ``SPREAD`` allows for.
"""

from dataclasses import dataclass
from types import MappingProxyType

from largebatch.spaces.errors import UserError

SPREAD = 0.5
"""Standard deviation of the logarithm of both numbers of a named network."""


@dataclass(frozen=True, slots=True)
class Interconnect:
    """A link between devices; ``spread`` is the standard deviation of the logarithm of both numbers."""

    latency_seconds: float
    bytes_per_second: float
    spread: float = SPREAD


UNKNOWN = Interconnect(10e-6, 40e9, 1.5)
"""Where the user names nothing: from shared memory's and Ethernet's to NVLink's within two standard deviations."""

INTERCONNECTS = MappingProxyType(
    {
        "ethernet-1g": Interconnect(50e-6, 0.11e9),
        "ethernet-10g": Interconnect(30e-6, 1.1e9),
        "ethernet-25g": Interconnect(25e-6, 2.8e9),
        "ethernet-100g": Interconnect(20e-6, 11e9),
        "ib-fdr": Interconnect(10e-6, 6e9),
        "ib-edr": Interconnect(8e-6, 11e9),
        "ib-hdr": Interconnect(7e-6, 22e9),
        "ib-ndr": Interconnect(6e-6, 45e9),
        "omni-path-100": Interconnect(10e-6, 11e9),
        "slingshot-11": Interconnect(8e-6, 22e9),
        "aries": Interconnect(8e-6, 8e9),
        "pcie-3": Interconnect(10e-6, 10e9),
        "pcie-4": Interconnect(10e-6, 20e9),
        "pcie-5": Interconnect(10e-6, 40e9),
        "nvlink-2": Interconnect(6e-6, 100e9),
        "nvlink-3": Interconnect(6e-6, 220e9),
        "nvlink-4": Interconnect(6e-6, 350e9),
    }
)
"""Each by the name of the standard and its generation; 100 Gbit/s are 12.5e9 bytes a second before overheads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """What the user knows of the machine that the plan is for.

    ``interconnect`` joins its nodes, or all its devices where ``workers_per_node`` is neither given nor seen in the
    timings. What was measured outweighs it.
    """

    workers_per_node: int | None = None
    interconnect: str | None = None


def find_interconnect(name: str | None) -> Interconnect:
    """The interconnect called ``name``, or what holds for any.

    Raises:
        UserError: if no interconnect is called so.
    """
    if name is None:
        return UNKNOWN
    if name not in INTERCONNECTS:
        raise UserError(f"no interconnect is called {name!r}; known: {', '.join(INTERCONNECTS)}")
    return INTERCONNECTS[name]
