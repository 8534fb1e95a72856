"""The systems that are held beside one another, each as its own documentation recommends (docs/adr/0030)."""

from typing import Final, Literal

import msgspec

Setting = int | str
Store = Literal["", "postgres", "redis"]

IN_PROCESS: Final = "in one process"
ACROSS: Final = "submitted from another process, run by a worker process"


class System(msgspec.Struct, frozen=True):
    """One row: what drives it, with how many tasks, and what it is held beside.

    `module` is one of `benchmarks.peers`; `worker` (`workers` of it) and `before` are programs of its environment with
    their arguments. `measure` instead: a measure of our own, in one process. `server` holds its store; none: that is a
    file. `beside` names our row of the same shape. `mark` is about what it reached on two quiet cores, tasks/s.
    """

    name: str
    group: str
    how: str
    n: int
    server: Store = ""
    module: str = ""
    before: tuple[str, ...] = ()
    worker: tuple[str, ...] = ()
    workers: int = 1
    told: dict[str, Setting] = msgspec.field(default_factory=dict)
    measure: dict[str, Setting] = msgspec.field(default_factory=dict)
    durability: str = ""
    beside: str = ""
    mark: float | None = None

    @property
    def ours(self) -> bool:
        """Run with the Python of this project."""
        return self.name.startswith("wsaios")


CALLERS: Final = 1_000
_ONE: Final = "one caller, task by task"
_CALLERS: Final = f"{CALLERS:,} callers, task by task"
_MANY: Final = "one call for all"


def systems(*, quick: bool = False) -> list[System]:
    """Every row, in the order of a round. `quick`: sizes that show that everything works, and nothing else."""
    rows = [*_ours(), *_peers()]
    return [_small(row) for row in rows] if quick else rows


def chosen(rows: list[System], only: list[str]) -> list[System]:
    """Those that are named, by the whole name or its beginning; ``"peers"`` names all, and so does no word at all."""
    if not only or "peers" in only:
        return rows
    return [
        row for row in rows if any(row.name == word or row.name.startswith((f"{word}-", f"{word}.")) for word in only)
    ]


def _small(row: System) -> System:
    few = 400
    told = {**row.told, **({"callers": 50} if "callers" in row.told else {})}
    measure = {**row.measure, **({"callers": 50} if row.measure.get("callers") else {})}
    return msgspec.structs.replace(row, n=few, told=told, measure=measure)


def _ours() -> list[System]:
    sqlite: Store = ""
    postgres: Store = "postgres"
    return [
        *_embedded("wsaios-sqlite", sqlite, "SQLite, WAL, synchronous=FULL", (60_000, 200_000)),
        *_embedded("wsaios-postgres", postgres, "PostgreSQL, synchronous_commit on", (20_000, 60_000)),
        *_with_client("wsaios-sqlite", sqlite),
        *_with_client("wsaios-postgres", postgres),
    ]


def _embedded(name: str, server: Store, durability: str, sizes: tuple[int, int]) -> list[System]:
    size: dict[str, Setting] = {"handler": "coroutine", "loop": "uvloop", "slots": 0}
    single, many = sizes
    return [
        System(
            f"{name}.in-process-callers",
            IN_PROCESS,
            _CALLERS,
            single,
            server,
            measure={**size, "how": "single", "callers": CALLERS},
            durability=durability,
        ),
        System(
            f"{name}.in-process-many",
            IN_PROCESS,
            _MANY,
            many,
            server,
            measure={**size, "how": "wait", "callers": 0},
            durability=durability,
        ),
    ]


def _with_client(name: str, server: Store) -> list[System]:
    return [
        System(
            f"{name}.client-{told}",
            ACROSS,
            says,
            n,
            server,
            "wsaios_app",
            worker=("python", "-m", "benchmarks.peers.wsaios_app", "work"),
            told={"how": told, "callers": CALLERS},
        )
        for told, says, n in (("one", _ONE, 4_000), ("callers", _CALLERS, 20_000), ("many", _MANY, 60_000))
    ]


def _peers() -> list[System]:
    huey = ("huey_consumer", "benchmarks.peers.huey_app.huey", "-k", "process", "-w", "2", "-q")
    # On SQLite a worker that finds nothing sleeps; nobody wakes it.
    polling = (*huey, "-d", "0.01", "-m", "0.05")
    celery = ("celery", "-A", "benchmarks.peers.celery_app", "worker", "-c", "2", "-l", "ERROR")
    procrastinate = ("procrastinate", "--log-level", "error", "-a", "benchmarks.peers.procrastinate_app.app")
    # Else the server tells every worker of every job.
    work = (*procrastinate, "worker", "--concurrency", "10", "--no-listen-notify", "-p", "0.05")
    schema = (*procrastinate, "schema", "--apply")
    callers = "wsaios-sqlite.client-callers"
    return [
        System("huey-sqlite", ACROSS, _ONE, 4_000, module="huey_app", worker=polling, beside=callers, mark=1_400),
        System("huey-redis", ACROSS, _ONE, 10_000, "redis", "huey_app", worker=huey, beside=callers, mark=3_400),
        System(
            "dramatiq",
            ACROSS,
            _ONE,
            10_000,
            "redis",
            "dramatiq_app",
            worker=("dramatiq", "benchmarks.peers.dramatiq_app", "-p", "2", "-t", "8"),
            beside=callers,
            mark=3_000,
        ),
        System(
            "celery",
            ACROSS,
            _ONE,
            4_000,
            "redis",
            "celery_app",
            worker=celery,
            told={"prefetch": 64},
            beside=callers,
            mark=750,
        ),
        System(
            "procrastinate",
            ACROSS,
            "11 callers, task by task",
            4_000,
            "postgres",
            "procrastinate_app",
            schema,
            work,
            2,
            {"pool": 11},
            beside="wsaios-postgres.client-callers",
            mark=820,
        ),
        System(
            "procrastinate.many",
            ACROSS,
            "1,000 tasks a call",
            4_000,
            "postgres",
            "procrastinate_app",
            schema,
            work,
            2,
            {"pool": 11, "many": 1},
            beside="wsaios-postgres.client-many",
        ),
        System(
            "dbos",
            IN_PROCESS,
            "16 callers, task by task",
            4_000,
            "postgres",
            "dbos_app",
            told={"callers": 16},
            beside="wsaios-postgres.in-process-callers",
            mark=1_040,
        ),
    ]
