-- Runs of workflows. States of runs and steps are the numbers of kernel/run.py.

-- A definition by the hash of its content.
CREATE TABLE definition (
    version    text   PRIMARY KEY,
    name       text   NOT NULL,
    created_us bigint NOT NULL,
    content    bytea  NOT NULL
);

-- `going`: it is being pruned, and nobody finds it any more. `ended_us` is 0 until it ends.
CREATE TABLE run (
    id         bigint   PRIMARY KEY CHECK (id > 0),
    state      smallint NOT NULL CHECK (state IN (1, 2, 3, 6, 7, 8)),
    version    text     NOT NULL,
    name       text     NOT NULL,
    tenant     text     NOT NULL,
    priority   bigint   NOT NULL,
    created_us bigint   NOT NULL,
    ended_us   bigint   NOT NULL CHECK ((ended_us <> 0) = (state >= 6)),
    tries      integer  NOT NULL CHECK (tries >= 0),
    input      json     NOT NULL,
    output     json,
    failure    json,
    going      boolean  NOT NULL DEFAULT false
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 1000);
CREATE INDEX run_unfinished ON run (id) WHERE state < 6;
CREATE INDEX run_by_end ON run (ended_us, id) WHERE state >= 6 AND NOT going;
CREATE INDEX run_going ON run (id) WHERE going;
CREATE INDEX run_by_version ON run (version);

-- One row for each step that has begun, and for each of its items (item -1: the step as a whole). How it ended is what its task
-- says, where it has one: nothing is stored twice. A task that stands here is not pruned before its run.
CREATE TABLE step (
    run     bigint   NOT NULL,
    number  integer  NOT NULL CHECK (number >= 0),
    item    integer  NOT NULL CHECK (item >= -1),
    task    bigint   NOT NULL CHECK (task >= 0),
    state   smallint NOT NULL CHECK (state BETWEEN 1 AND 9 AND (task <> 0) = (state = 1)),
    at_us   bigint   NOT NULL,
    data    json,
    failure json,
    PRIMARY KEY (run, number, item)
) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 2000);
CREATE INDEX step_of_task ON step (task) WHERE task <> 0;

-- Whether every task of a day ended before a time, none has dependents that are still to be told, and none is the work of a step of
-- a run that is kept.
CREATE OR REPLACE FUNCTION day_over(day integer, before_us bigint) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    late boolean;
BEGIN
    EXECUTE format('SELECT EXISTS (SELECT 1 FROM %I WHERE ended_us >= $1)', day_table('outcome', day)) INTO late USING before_us;
    RETURN NOT late
        AND NOT EXISTS (SELECT 1 FROM live WHERE id >= day_start(day) AND id < day_start(day + 1))
        AND NOT EXISTS (SELECT 1 FROM release WHERE parent >= day_start(day) AND parent < day_start(day + 1))
        AND NOT EXISTS (SELECT 1 FROM step WHERE task >= day_start(day) AND task < day_start(day + 1) AND task <> 0);
END
$$;
