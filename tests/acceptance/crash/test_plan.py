from tests.acceptance.batch.test_crash import PLACES
from tests.acceptance.crash.plan import OF_A_WORKER, OF_BATCH_RUN, OF_THE_INTAKE, SELDOM, plan
from wsaios.kernel.failpoints import FAILPOINTS


def test_the_first_turn_reaches_every_failpoint_at_its_first_hit() -> None:
    rounds = -(-len(OF_A_WORKER) // 2)
    deaths = [death for number in range(rounds) for death in plan(5, number).deaths if death.kind == "failpoint"]

    assert {death.failpoint for death in deaths} == set(OF_A_WORKER)
    assert [death.hit for death in deaths if death.hit != 1] == []


def test_later_turns_die_at_later_hits_too() -> None:
    deaths = [death for number in range(20, 120) for death in plan(5, number).deaths if death.kind == "failpoint"]

    assert len({death.hit for death in deaths}) > 4
    assert {death.hit for death in deaths if death.failpoint in SELDOM} == {1, 2}


def test_every_kind_of_death_comes_with_both_ways_to_acknowledge() -> None:
    deaths = [death for number in range(60) for death in plan(5, number).deaths]

    kinds, ways = ("failpoint", "random", "submit", "execution"), ("journal", "pipe")
    assert {(death.kind, death.acknowledge) for death in deaths} == {(kind, way) for kind in kinds for way in ways}


def test_a_round_is_the_same_again_from_its_seed() -> None:
    assert plan(11, 3) == plan(11, 3)
    assert plan(11, 3).deaths != plan(12, 3).deaths


def test_what_a_worker_cannot_reach_is_killed_in_the_proof_of_batch_run() -> None:
    assert {*OF_BATCH_RUN, *OF_THE_INTAKE, *OF_A_WORKER} == {*FAILPOINTS}
    assert {place.partition("@")[0] for place in PLACES} >= {*OF_BATCH_RUN}
