"""How other nodes reach this one: its name, its ports, and proxies that stand in between."""

import ipaddress
import os
import re
import socket
from pathlib import Path

from largebatch.schedulers.clusters.launcher.network import NoAddress, own_address
from largebatch.studies.checks.machine.allocation import num_nodes
from largebatch.studies.checks.machine.finding import Finding, ok, problem, warning

PORT_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_LEAST_PORTS = 5000
_RAY_PORTS = {6379: "Ray's head", 8265: "Ray's dashboard", 10001: "Ray's client"}
_INTERFACE = "largebatch cluster slurm --interface ib0 ...   # `ip -br addr` lists the interfaces"


def host_name() -> Finding:
    """The node's own name must lead to an address that other nodes can reach; a loopback's leads them to themselves."""
    name = socket.gethostname()
    try:
        found = sorted({str(one[4][0]) for one in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)})
    except OSError as error:
        found, measured = [], f"{name} does not resolve ({error.strerror or error})"
    else:
        measured = f"{name} is {', '.join(found)}"
    if any(not ipaddress.ip_address(one.split("%")[0]).is_loopback for one in found):
        return ok("host name", measured)
    report = problem if num_nodes(os.environ) > 1 else warning
    try:
        address = own_address(None, alone=False)
    except NoAddress:
        return report("host name", f"{measured}, and no other address: one node alone can be used", _INTERFACE)
    return report(
        "host name", f"{measured}; {address} is its address", f"echo '{address} {name}' | sudo tee -a /etc/hosts"
    )


def ports() -> Finding:
    """Whether a port can be opened and reached at this node's own address, and how many there are."""
    address = own_address(None, alone=True)
    for one in dict.fromkeys(("127.0.0.1", address)):
        try:
            with socket.create_server((one, 0)) as server:
                socket.create_connection(server.getsockname(), timeout=5).close()
        except OSError as error:
            mend = "iptables -L -n   # a firewall?" if one == address else "ip link set lo up"
            return problem("ports", f"a port opened at {one} cannot be reached: {error.strerror or error}", mend)
    low, high = map(int, PORT_RANGE.read_text().split())
    measured = f"opened and reached at {address}; {low} to {high} are for programs"
    if high - low < _LEAST_PORTS:
        mend = "sysctl -w net.ipv4.ip_local_port_range='32768 60999'   # by the site"
        return warning("ports", f"{measured}: few for Ray", mend)
    taken = [f"{port} ({whose})" for port, whose in _RAY_PORTS.items() if _listens(port)]
    return ok("ports", measured + (f"; taken: {', '.join(taken)}" if taken else ""))


def proxies() -> Finding:
    """A proxy that is asked for a node of the cluster does not find it."""
    names = ("grpc_proxy", "https_proxy", "http_proxy", "all_proxy")
    given = [name for lower in names for name in (lower, lower.upper()) if os.environ.get(name)]
    if not given:
        return ok("proxies", "none")
    past = os.environ.get("no_proxy", os.environ.get("NO_PROXY", ""))
    hosts = [socket.gethostname(), own_address(None, alone=True), "127.0.0.1", "localhost"]
    through = [host for host in dict.fromkeys(hosts) if not _passes_by(host, past)]
    measured = f"{', '.join(given)} set" + (f", not used for {past}" if past else ", no_proxy not set")
    if not through:
        return ok("proxies", measured)
    mend = f'export no_proxy="{",".join(filter(None, [past, *through]))}"   # and the names of the other nodes'
    measured += f": connections to {', '.join(through)} go to the proxy"
    if os.environ.get("RAY_grpc_enable_http_proxy", "0").lower() in ("1", "true"):  # noqa: SIM112
        return problem("proxies", f"{measured}, Ray's too (RAY_grpc_enable_http_proxy)", mend)
    return warning("proxies", f"{measured}; Ray's own do not, those of the dashboard and other libraries do", mend)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _passes_by(host: str, no_proxy: str) -> bool:
    """Whether ``no_proxy`` names the host: itself, a domain that it is in, a network, or all."""
    for one in filter(None, re.split(r"[,\s]+", no_proxy)):
        if one == "*" or host == one.lstrip("*") or host.endswith("." + one.lstrip("*.")):
            return True
        try:
            if ipaddress.ip_address(host) in ipaddress.ip_network(one, strict=False):
                return True
        except ValueError:  # a name
            continue
    return False
