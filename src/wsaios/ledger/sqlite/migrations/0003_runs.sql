-- Runs of workflows. States of runs and steps are the numbers of kernel/run.py.

-- A definition by the hash of its content.
CREATE TABLE definition (
    version    TEXT    PRIMARY KEY,
    name       TEXT    NOT NULL,
    created_us INTEGER NOT NULL,
    content    BLOB    NOT NULL
) STRICT;

-- `going`: it is being pruned, and nobody finds it any more. `ended_us` is 0 until it ends.
CREATE TABLE run (
    id         INTEGER PRIMARY KEY CHECK (id > 0),
    state      INTEGER NOT NULL CHECK (state IN (1, 2, 3, 6, 7, 8)),
    version    TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    tenant     TEXT    NOT NULL,
    priority   INTEGER NOT NULL,
    created_us INTEGER NOT NULL,
    ended_us   INTEGER NOT NULL CHECK ((ended_us <> 0) = (state >= 6)),
    tries      INTEGER NOT NULL CHECK (tries >= 0),
    input      TEXT    NOT NULL CHECK (json_valid(input)),
    output     TEXT    CHECK (json_valid(coalesce(output, 'null'))),
    failure    TEXT    CHECK (json_valid(coalesce(failure, 'null'))),
    going      INTEGER NOT NULL DEFAULT 0 CHECK (going IN (0, 1))
) STRICT;
CREATE INDEX run_unfinished ON run (id) WHERE state < 6;
CREATE INDEX run_by_end ON run (ended_us, id) WHERE state >= 6 AND going = 0;
CREATE INDEX run_going ON run (id) WHERE going = 1;
CREATE INDEX run_by_version ON run (version);

-- One row for each step that has begun, and for each of its items (item -1: the step as a whole). How it ended is what its task
-- says, where it has one: nothing is stored twice. A task that stands here is not pruned before its run.
CREATE TABLE step (
    run     INTEGER NOT NULL,
    number  INTEGER NOT NULL CHECK (number >= 0),
    item    INTEGER NOT NULL CHECK (item >= -1),
    task    INTEGER NOT NULL CHECK (task >= 0),
    state   INTEGER NOT NULL CHECK (state BETWEEN 1 AND 9 AND (task <> 0) = (state = 1)),
    at_us   INTEGER NOT NULL,
    data    TEXT,
    failure TEXT,
    PRIMARY KEY (run, number, item)
) STRICT, WITHOUT ROWID;
CREATE INDEX step_of_task ON step (task) WHERE task <> 0;
