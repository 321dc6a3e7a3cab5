"""Accepted pairs -> groups with at most one node of each kind; what does not fit together is contested."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from weakbox.linking.features import Node, NodeKind
from weakbox.records.biopsy import BiopsyCore
from weakbox.records.case import Link
from weakbox.records.extraction import Specimen


@dataclass(frozen=True, slots=True, kw_only=True)
class PairLink:
    """An accepted pair of nodes."""

    left: Node
    right: Node
    score: float
    reason: str
    needs_review: bool


@dataclass(slots=True)
class Group:
    """Nodes of one lesion, one of each kind, and the links that hold them together."""

    nodes: dict[NodeKind, Node]
    links: list[PairLink] = field(default_factory=list)
    conflicts: set[str] = field(default_factory=set)
    cores: list[BiopsyCore] = field(default_factory=list)
    rival_cores: list[BiopsyCore] = field(default_factory=list)
    """Cores that could be of this lesion, and were given to another or to none."""
    support: list[Specimen] = field(default_factory=list)
    """Systematic tissue at the lesion's place."""
    record_links: list[Link] = field(default_factory=list)
    """Links to cores and to systematic tissue."""

    def node(self, kind: NodeKind) -> Node | None:
        """The group's node of a kind."""
        return self.nodes.get(kind)

    def id_of(self, kind: NodeKind) -> str:
        """The id of the group's node of a kind; empty without one."""
        node = self.nodes.get(kind)
        return node.node_id if node else ""

    @property
    def anchor(self) -> Node:
        """The node that names the lesion: what says best where it lies."""
        order = (NodeKind.TARGET, NodeKind.SEGMENTATION, NodeKind.FINDING, NodeKind.TISSUE)
        return next(self.nodes[kind] for kind in order if kind in self.nodes)


def group_nodes(nodes: Iterable[Node], links: Sequence[PairLink]) -> list[Group]:
    """Groups by the links in their order; a link that would put two nodes of a kind together leaves both groups contested.

    A group without a conflict keeps its nodes whatever else is taken away: nothing outside it is linked to them.
    """
    groups = {(node.kind, node.node_id): Group(nodes={node.kind: node}) for node in nodes}
    for link in links:
        left, right = groups[_key(link.left)], groups[_key(link.right)]
        if left is right:
            left.links.append(link)
        elif left.nodes.keys() & right.nodes.keys():
            left.conflicts.add(f"contested_{link.left.kind}")
            right.conflicts.add(f"contested_{link.right.kind}")
        else:
            left.nodes |= right.nodes
            left.links += [*right.links, link]
            left.conflicts |= right.conflicts
            for node in right.nodes.values():
                groups[_key(node)] = left
    return list({id(group): group for group in groups.values()}.values())


def _key(node: Node) -> tuple[NodeKind, str]:
    return node.kind, node.node_id
