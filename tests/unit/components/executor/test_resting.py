"""Calls that stopped at a checkpoint against a plain list: the best one of those that may go on."""

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from wsaios.components.executor.resting import Resting
from wsaios.kernel.executor import Ref, Rest

LANES = ("default", "other")
TENANTS = ("", "a", "b")
HAD = {"": 0.0, "a": 5.0, "b": 2.0}


class RestingMachine(RuleBasedStateMachine):
    """Calls by number: lane, class, tenant and place."""

    def __init__(self) -> None:
        super().__init__()
        self.resting = Resting()
        self.inside: dict[Ref, tuple[str, int, str, Rest]] = {}

    @rule(
        number=st.integers(1, 6),
        lane=st.sampled_from(LANES),
        grade=st.integers(0, 2),
        tenant=st.sampled_from(TENANTS),
        key=st.integers(0, 5),
    )
    def a_call_stops_or_gets_another_place(self, number: int, lane: str, grade: int, tenant: str, key: int) -> None:
        ref = number, 1
        known = self.inside.get(ref)
        # A call keeps its lane and its class; whether tenants share may change.
        lane, grade = (lane, grade) if known is None else known[:2]
        rest = Rest(key, number, ref)
        self.resting.add(lane, grade, tenant, rest)
        self.inside[ref] = lane, grade, tenant, rest

    @rule(number=st.integers(1, 6))
    def a_call_goes_on(self, number: int) -> None:
        ref = number, 1
        assert self.resting.leave(ref) is (self.inside.pop(ref, None) is not None)

    @rule(lane=st.sampled_from(LANES), least=st.integers(0, 3), shares=st.booleans())
    def the_best_is_asked_for(self, lane: str, least: int, shares: bool) -> None:
        # Tenants take turns within a class; between the classes the best place decides.
        firsts = []
        for each in range(least, 3):
            may = [
                (HAD[tenant] if shares else 0.0, rest)
                for where, grade, tenant, rest in self.inside.values()
                if where == lane and grade == each
            ]
            firsts += [min(may)[1]] if may else []
        expected = min(firsts, default=None)
        had = HAD.__getitem__ if shares else None
        assert self.resting.best(lane, lambda grade: int(grade >= least), had) == expected

    @invariant()
    def everybody_is_known(self) -> None:
        assert sorted(self.resting.refs()) == sorted(self.inside)
        assert len(self.resting) == len(self.inside)
        assert all(ref in self.resting for ref in self.inside)
        assert {lane for lane, *_ in self.inside.values()} <= set(self.resting.lanes())


TestResting = RestingMachine.TestCase


def test_a_lane_in_which_nobody_rested_has_nobody() -> None:
    assert Resting().best("default") is None
    assert Resting().lanes() == []
