"""An order in which every step comes after those that it depends on.

Source: A. B. Kahn, "Topological sorting of large networks", CACM 5(11), 1962, with a heap over the steps that could
come next, so that of several the same one always does: O(V log V + E).
"""

from collections import deque
from collections.abc import Sequence
from heapq import heapify, heappop, heappush
from typing import NamedTuple

Links = Sequence[Sequence[int]]
"""For each step, by number, the numbers of others."""


class Order(NamedTuple):
    """Numbers of steps, each after its parents; those in or behind a cycle are missing. `depth` counts from 0."""

    steps: list[int]
    depth: list[int]


def children_of(parents: Links) -> list[list[int]]:
    """Links the other way round."""
    children: list[list[int]] = [[] for _ in parents]
    for number, each in enumerate(parents):
        for parent in each:
            children[parent].append(number)
    return children


def ordered(parents: Links, children: Links, rank: Sequence[int] | None = None) -> Order:
    """Of several steps that could come next the one with the smallest `rank` does; without it, the first defined.

    Ranks are 0, 1, 2 … in any order. A step's `depth` is the number of steps on the longest way to it.
    """
    left = [len(each) for each in parents]
    ranks: Sequence[int] = range(len(left)) if rank is None else rank
    at = ranks if rank is None else sorted(range(len(left)), key=rank.__getitem__)
    heap = [ranks[number] for number, count in enumerate(left) if not count]
    heapify(heap)
    depth = [0] * len(left)
    steps: list[int] = []
    while heap:
        number = at[heappop(heap)]
        steps.append(number)
        below = depth[number] + 1
        for child in children[number]:
            depth[child] = max(depth[child], below)
            left[child] -= 1
            if not left[child]:
                heappush(heap, ranks[child])
    return Order(steps, depth)


def by_critical_path(parents: Links, children: Links, weights: Sequence[float] | None = None) -> list[int]:
    """Ranks for `ordered` that take the step first from which the longest way leads to the end.

    `weights` are the lengths of steps, such as seconds that they took before; without it, each has the same.
    """
    height = [0.0] * len(parents)
    for number in reversed(ordered(parents, children).steps):
        below = max((height[child] for child in children[number]), default=0.0)
        height[number] = below + (1.0 if weights is None else weights[number])
    order = sorted(range(len(parents)), key=lambda number: (-height[number], number))
    ranks = [0] * len(parents)
    for rank, number in enumerate(order):
        ranks[number] = rank
    return ranks


def cycles(parents: Links, children: Links) -> list[list[int]]:
    """A shortest cycle for each group of steps that wait for each other, by number, its first step again at the end.

    Each step of a cycle depends on the one before it.
    """
    done = set(ordered(parents, children).steps)
    left = [number for number in range(len(parents)) if number not in done]
    found = []
    for group in _groups(left, children, done):
        first = min(group)
        if len(group) > 1 or first in children[first]:
            found.append(_shortest(first, group, children))
    return sorted(found)


def _groups(left: list[int], children: Links, done: set[int]) -> list[set[int]]:
    """Strongly connected groups. Source: R. Tarjan, "Depth-first search and linear graph algorithms", 1972."""
    index: dict[int, int] = {}
    low: dict[int, int] = {}
    stack: list[int] = []
    on_stack: set[int] = set()
    groups: list[set[int]] = []
    for root in left:
        if root in index:
            continue
        way = [(root, iter(children[root]))]
        index[root] = low[root] = len(index)
        stack.append(root)
        on_stack.add(root)
        while way:
            number, rest = way[-1]
            child = next((each for each in rest if each not in done), None)
            if child is None:
                way.pop()
                if way:
                    low[way[-1][0]] = min(low[way[-1][0]], low[number])
                if low[number] == index[number]:
                    groups.append(_popped(stack, on_stack, number))
            elif child not in index:
                index[child] = low[child] = len(index)
                stack.append(child)
                on_stack.add(child)
                way.append((child, iter(children[child])))
            elif child in on_stack:
                low[number] = min(low[number], index[child])
    return groups


def _popped(stack: list[int], on_stack: set[int], until: int) -> set[int]:
    group: set[int] = set()
    while until not in group:
        group.add(stack.pop())
    on_stack -= group
    return group


def _shortest(first: int, group: set[int], children: Links) -> list[int]:
    before: dict[int, int] = {}
    waiting = deque([first])
    while first not in before:
        number = waiting.popleft()
        for child in children[number]:
            if child in group and child not in before:
                before[child] = number
                waiting.append(child)
    way = [first]
    while len(way) == 1 or way[-1] != first:
        way.append(before[way[-1]])
    return way[::-1]


def unreached(
    parents: Links, order: Sequence[int], queries: dict[int, list[int]], chunk: int = 8_192
) -> set[tuple[int, int]]:
    """Of pairs (step, other step) those where no way leads from the other step to the step.

    `queries` names other steps for each step. In time near to linear also when many steps ask for many: what reaches a
    step is one number, a bit for each of up to `chunk` others.
    """
    targets = sorted({target for each in queries.values() for target in each})
    missing: set[tuple[int, int]] = set()
    for begin in range(0, len(targets), chunk):
        bits = {target: 1 << place for place, target in enumerate(targets[begin : begin + chunk])}
        reach = [0] * len(parents)
        for number in order:
            mask = 0
            for parent in parents[number]:
                mask |= reach[parent] | bits.get(parent, 0)
            reach[number] = mask
            for target in queries.get(number, ()):
                if target in bits and not mask & bits[target]:
                    missing.add((number, target))
    return missing
