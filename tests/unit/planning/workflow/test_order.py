"""Orders, depths, cycles and ways, held against nx."""

import json
from itertools import pairwise

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.planning.workflow.texts import CEL
from wsaios.kernel.errors import InvalidDefinition
from wsaios.planning.workflow.check import check_text
from wsaios.planning.workflow.order import by_critical_path, children_of, cycles, ordered, unreached

Parents = list[list[int]]


@st.composite
def dags(draw: st.DrawFn, most: int = 24) -> Parents:
    """Parents of each step, whose numbers are in no order that would help."""
    n = draw(st.integers(1, most))
    names = draw(st.permutations(range(n)))
    parents: Parents = [[] for _ in range(n)]
    for place in range(1, n):
        found = draw(st.sets(st.integers(0, place - 1), max_size=4))
        parents[names[place]] = [names[each] for each in found]
    return parents


@st.composite
def graphs(draw: st.DrawFn) -> Parents:
    """Any graph, cycles and steps that depend on themselves included."""
    n = draw(st.integers(1, 12))
    return [list(draw(st.sets(st.integers(0, n - 1), max_size=3))) for _ in range(n)]


def graph_of(parents: Parents) -> "nx.DiGraph[int]":
    graph: nx.DiGraph[int] = nx.DiGraph()
    graph.add_nodes_from(range(len(parents)))
    graph.add_edges_from((parent, number) for number, each in enumerate(parents) for parent in each)
    return graph


@given(dags())
def test_every_step_comes_after_its_parents_and_the_first_defined_first(parents: Parents) -> None:
    order = ordered(parents, children_of(parents))
    assert order.steps == list(nx.lexicographical_topological_sort(graph_of(parents)))
    assert all(
        order.steps.index(parent) < order.steps.index(number) for number in order.steps for parent in parents[number]
    )


@given(dags())
def test_the_depth_is_the_longest_way_to_a_step(parents: Parents) -> None:
    order = ordered(parents, children_of(parents))
    generations = list(nx.topological_generations(graph_of(parents)))
    assert {number: depth for depth, each in enumerate(generations) for number in each} == dict(enumerate(order.depth))


@given(dags(), st.data())
def test_by_critical_path_the_step_with_the_longest_way_to_the_end_comes_first(
    parents: Parents, data: st.DataObject
) -> None:
    weights = [float(data.draw(st.integers(1, 9))) for _ in parents]
    children = children_of(parents)
    order = ordered(parents, children, by_critical_path(parents, children, weights)).steps
    assert sorted(order) == list(range(len(parents)))
    graph = graph_of(parents)

    def height(number: int) -> float:
        ways = nx.descendants(graph, number) | {number}
        part = graph.subgraph(ways)
        best: dict[int, float] = {}
        for each in reversed(list(nx.topological_sort(part))):
            best[each] = weights[each] + max((best[child] for child in part.successors(each)), default=0.0)
        return best[number]

    done: set[int] = set()
    for number in order:
        able = [each for each in range(len(parents)) if each not in done and set(parents[each]) <= done]
        assert number in able
        assert height(number) == max(map(height, able))
        done.add(number)


@given(graphs())
def test_a_cycle_is_found_for_each_group_that_has_one_and_is_one(parents: Parents) -> None:
    graph = graph_of(parents)
    found = cycles(parents, children_of(parents))
    groups = [
        group
        for group in nx.strongly_connected_components(graph)
        if len(group) > 1 or any(graph.has_edge(each, each) for each in group)
    ]
    assert sorted(min(group) for group in groups) == [cycle[0] for cycle in found]
    for cycle in found:
        assert cycle[0] == cycle[-1]
        assert len(set(cycle)) == len(cycle) - 1
        assert all(graph.has_edge(*pair) for pair in pairwise(cycle))
    assert (found == []) == nx.is_directed_acyclic_graph(graph)


@given(dags(), st.data(), st.integers(1, 5))
def test_ways_that_are_missing_are_found(parents: Parents, data: st.DataObject, chunk: int) -> None:
    numbers = st.integers(0, len(parents) - 1)
    queries = data.draw(st.dictionaries(numbers, st.lists(numbers, max_size=4)))
    order = ordered(parents, children_of(parents)).steps
    graph = graph_of(parents)
    expected = {
        (number, target)
        for number, targets in queries.items()
        for target in targets
        if number == target or not nx.has_path(graph, target, number)
    }
    assert unreached(parents, order, queries, chunk) == expected


@pytest.mark.parametrize("shape", ["chain", "fan"])
def test_deep_and_wide_graphs_need_no_recursion(shape: str) -> None:
    n = 50_000
    parents: Parents = [[number - 1] if shape == "chain" else [0] for number in range(1, n)]
    parents.insert(0, [])
    order = ordered(parents, children_of(parents))
    assert order.steps == list(range(n))
    assert max(order.depth) == (n - 1 if shape == "chain" else 1)
    parents[0] = [n - 1]
    assert [len(each) for each in cycles(parents, children_of(parents))] == [n + 1 if shape == "chain" else 3]


@given(graphs())
def test_a_definition_is_taken_exactly_when_its_graph_has_no_cycle(parents: Parents) -> None:
    steps = [{"id": f"s{n}", "handler": "f", "depends_on": [f"s{p}" for p in each]} for n, each in enumerate(parents)]
    text = json.dumps({"name": "n", "steps": steps}).encode()
    graph = graph_of(parents)
    try:
        plan = check_text(text, source="f", form="json", language=CEL)
    except InvalidDefinition as refusal:
        kinds = {flaw.kind for flaw in refusal.flaws}
    else:
        kinds = set()
    assert kinds == (set() if nx.is_directed_acyclic_graph(graph) else {"cycle"})
    if kinds:
        return
    place = {number: at for at, number in enumerate(plan.order)}
    assert len(place) == len(parents)
    assert all(place[parent] < place[number] for parent, number in graph.edges)
