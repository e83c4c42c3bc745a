"""Ray's head and a second node on this machine, until standard input ends. ``python two_nodes.py TOKEN_FILE``."""

import sys

from largebatch.schedulers.clusters.launcher.node_share import NodeShare
from largebatch.schedulers.clusters.launcher.process_tree import adopt_orphans, end_children
from largebatch.schedulers.clusters.launcher.ray_node import RayNode

adopt_orphans()
share = NodeShare(cpus=1, gpus=0, memory_bytes=2**28, object_store_bytes=80 * 2**20)
head = RayNode("127.0.0.1", share, sys.argv[1])
second = RayNode("127.0.0.1", share, sys.argv[1], head.address)
print(head.address, flush=True)
sys.stdin.read()
end_children()
head.clean_up()
second.clean_up()
