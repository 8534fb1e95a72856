-- The first schema: who owns the ledger, live tasks, what ended, and the facts of the components.
-- Times are µs UTC, ids have 63 bits, states are the numbers of kernel/states.py (1…5 live, 6…10 ended). Bodies are JSON arrays,
-- kept as text (json, not jsonb): they come back byte for byte, and may hold \u0000, which jsonb refuses. Names that may hold
-- U+0000, which text refuses, are bytea in UTF-8; that also orders them as SQLite does.

CREATE TABLE migration (
    version    integer     PRIMARY KEY CHECK (version > 0),
    applied_at timestamptz NOT NULL DEFAULT now()
);

-- One row: the owner of now or of last time. It owns until `lease_until_us` by this database's clock; NULL: it left.
CREATE TABLE owner (
    one            smallint PRIMARY KEY CHECK (one = 1),
    epoch          bigint   NOT NULL CHECK (epoch >= 0),
    session        text     NOT NULL,
    slot           integer  NOT NULL CHECK (slot BETWEEN 0 AND 1023),
    id_high        bigint   NOT NULL CHECK (id_high >= 0),
    clock_us       bigint   NOT NULL CHECK (clock_us >= 0),
    kind           text     NOT NULL CHECK (kind IN ('owner', 'client')),
    host           text     NOT NULL,
    pid            bigint   NOT NULL,
    boot_id        text     NOT NULL,
    started        text     NOT NULL,
    who            text     NOT NULL,
    since_us       bigint   NOT NULL,
    lease_until_us bigint,
    clean          boolean  NOT NULL
) WITH (fillfactor = 10, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
INSERT INTO owner VALUES (1, 0, '', 0, 0, 0, 'owner', '', 0, '', '', '', 0, NULL, true);

CREATE TABLE batch (
    id         bigint   PRIMARY KEY CHECK (id > 0),
    state      smallint NOT NULL CHECK (state BETWEEN 0 AND 2),
    handler    text     NOT NULL,
    tenant     text     NOT NULL,
    created_us bigint   NOT NULL,
    sealed_us  bigint   NOT NULL,
    rows       bigint   NOT NULL CHECK (rows >= 0),
    keep       boolean  NOT NULL,
    key        bytea,
    ranges     json     NOT NULL,
    ended      json     NOT NULL,
    meta       json     NOT NULL,
    unfinished boolean  NOT NULL
) WITH (fillfactor = 50);
CREATE INDEX batch_by_key ON batch (key, id) WHERE key IS NOT NULL;
CREATE INDEX batch_unfinished ON batch (id) WHERE unfinished;

-- `tasks` counts the live and ended tasks of the shard, so that one nobody needs can be told without a search. It changes with most
-- commits, so no index looks at it: then its new version stays on the page of the old one. Two shards may have the same five.
CREATE TABLE shard (
    id              bigint PRIMARY KEY CHECK (id > 0),
    lane            text   NOT NULL,
    tenant          text   NOT NULL,
    handler         text   NOT NULL,
    batch           bigint NOT NULL,
    concurrency_key text   NOT NULL,
    tasks           bigint NOT NULL DEFAULT 0 CHECK (tasks >= 0)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
CREATE INDEX shard_of_batch ON shard (batch) WHERE batch <> 0;

-- Rows come and go with every task: dead ones are taken away early and without a pause, and pages keep room for the next version.
CREATE TABLE live (
    id         bigint   PRIMARY KEY CHECK (id > 0),
    shard      bigint   NOT NULL,
    fence      bigint   NOT NULL CHECK (fence >= 0),
    key        bigint   NOT NULL,
    due_us     bigint,
    expires_us bigint,
    state      smallint NOT NULL CHECK (state BETWEEN 1 AND 5),
    body       json     NOT NULL
) WITH (
    fillfactor = 70, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0,
    autovacuum_vacuum_insert_scale_factor = 0.1, autovacuum_analyze_scale_factor = 0.05, autovacuum_analyze_threshold = 2000
);
CREATE INDEX live_ready ON live (shard, key, id) WHERE state = 2;
CREATE INDEX live_due ON live (due_us, id) WHERE due_us IS NOT NULL AND state IN (1, 4);
CREATE INDEX live_expiring ON live (expires_us, id) WHERE expires_us IS NOT NULL AND state <> 3;
-- All but the ready ones, of which there may be ten million: what runs is found at once when an owner starts.
CREATE INDEX live_by_state ON live (state, id) WHERE state <> 2;

-- What a task leaves behind stands in partitions by the day of its id, so that a day is dropped when all of it is over; an id has the
-- milliseconds since 2020 above 22 bits. What comes before its day is made, or in no day that is known, stands in the rest.

-- Arguments; kept until the outcome is pruned, so that a failed task can be replayed.
CREATE TABLE payload (
    id    bigint   PRIMARY KEY,
    codec smallint NOT NULL CHECK (codec BETWEEN 0 AND 2),
    data  bytea    NOT NULL
) PARTITION BY RANGE (id);
CREATE TABLE payload_rest PARTITION OF payload DEFAULT;

CREATE TABLE checkpoint (
    id    bigint   PRIMARY KEY,
    codec smallint NOT NULL CHECK (codec BETWEEN 0 AND 2),
    data  bytea    NOT NULL
) WITH (fillfactor = 50);

-- One row for each task that ended.
CREATE TABLE outcome (
    id         bigint   PRIMARY KEY CHECK (id > 0),
    fence      bigint   NOT NULL CHECK (fence >= 0),
    shard      bigint   NOT NULL,
    ended_us   bigint   NOT NULL,
    key        bigint   NOT NULL,
    expires_us bigint,
    state      smallint NOT NULL CHECK (state BETWEEN 6 AND 10),
    codec      smallint NOT NULL CHECK (codec BETWEEN 0 AND 2),
    failure    json,
    body       json     NOT NULL,
    result     bytea
) PARTITION BY RANGE (id);
CREATE TABLE outcome_rest PARTITION OF outcome DEFAULT;
CREATE INDEX outcome_by_end ON outcome (ended_us, id) INCLUDE (shard);
CREATE INDEX outcome_unsuccessful ON outcome (id, state) WHERE state <> 6;
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'an outcome is written once' USING ERRCODE = 'integrity_constraint_violation';
END
$$;
CREATE TRIGGER outcome_is_final BEFORE UPDATE ON outcome FOR EACH ROW EXECUTE FUNCTION refuse_change();

CREATE TABLE history_part (
    task    bigint  NOT NULL,
    part    integer NOT NULL,
    entries json    NOT NULL,
    PRIMARY KEY (task, part)
) PARTITION BY RANGE (task);
CREATE TABLE history_part_rest PARTITION OF history_part DEFAULT;

CREATE TABLE link (
    parent bigint NOT NULL,
    child  bigint NOT NULL,
    PRIMARY KEY (parent, child),
    CHECK (parent <> child)
);
CREATE INDEX link_by_child ON link (child);

-- Parents that ended and whose dependents are still to be told.
CREATE TABLE release (
    parent bigint PRIMARY KEY
);

CREATE TABLE idempotency (
    tenant   bytea  NOT NULL,
    key      bytea  NOT NULL,
    task     bigint NOT NULL,
    digest   text   NOT NULL,
    until_us bigint NOT NULL,
    PRIMARY KEY (tenant, key)
);
CREATE INDEX idempotency_by_end ON idempotency (until_us);

CREATE TABLE fact (
    component  bytea  NOT NULL,
    key        bytea  NOT NULL,
    value      json,
    version    bigint NOT NULL CHECK (version > 0),
    changed_us bigint NOT NULL,
    PRIMARY KEY (component, key)
) WITH (fillfactor = 70);

-- Every value that a fact had, NULL for removed; the last 64 of each fact until they are pruned by age.
CREATE TABLE fact_log (
    component bytea  NOT NULL,
    key       bytea  NOT NULL,
    version   bigint NOT NULL,
    value     json,
    at_us     bigint NOT NULL,
    PRIMARY KEY (component, key, version)
);
CREATE INDEX fact_log_by_time ON fact_log (at_us);

-- The tables that have partitions by day; a day is counted from 2020-01-01.
CREATE FUNCTION day_families() RETURNS text[] LANGUAGE sql IMMUTABLE AS $$
    SELECT ARRAY['outcome', 'payload', 'history_part'];
$$;
CREATE FUNCTION day_table(family text, day integer) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT family || '_' || to_char(DATE '2020-01-01' + day, 'YYYYMMDD');
$$;
CREATE FUNCTION day_start(day integer) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
    SELECT (day * 86400000::bigint) << 22;
$$;

-- Make the partitions of a day. False: not now, because a transaction that has read stays open, or because rows of that day stand
-- in the rest already, or because the user owns no table here; all is well without. Attaching a table locks out nobody but those who use the rest, which is small.
CREATE FUNCTION day_make(day integer) RETURNS boolean LANGUAGE plpgsql SET lock_timeout = '100ms' AS $$
DECLARE
    family text;
    made   text;
BEGIN
    FOREACH family IN ARRAY day_families() LOOP
        made := day_table(family, day);
        CONTINUE WHEN to_regclass(made) IS NOT NULL;
        EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL)', made, family);
        EXECUTE format(
            'ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%s) TO (%s)', family, made, day_start(day), day_start(day + 1)
        );
    END LOOP;
    RETURN true;
EXCEPTION
    WHEN lock_not_available OR check_violation OR insufficient_privilege THEN RETURN false;
END
$$;

-- Whether every task of a day ended before a time and none has dependents that are still to be told.
CREATE FUNCTION day_over(day integer, before_us bigint) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    late boolean;
BEGIN
    EXECUTE format('SELECT EXISTS (SELECT 1 FROM %I WHERE ended_us >= $1)', day_table('outcome', day)) INTO late USING before_us;
    RETURN NOT late
        AND NOT EXISTS (SELECT 1 FROM live WHERE id >= day_start(day) AND id < day_start(day + 1))
        AND NOT EXISTS (SELECT 1 FROM release WHERE parent >= day_start(day) AND parent < day_start(day + 1));
END
$$;

-- Drop the partitions of a day that is over, with all that hangs on its tasks; `counts` are its tasks by shard. False: not now, or
-- some must stay, by the same rules as in prune_choose.
CREATE FUNCTION day_drop(day integer, before_us bigint, shards bigint[], counts bigint[])
RETURNS boolean LANGUAGE plpgsql SET lock_timeout = '100ms' AS $$
DECLARE
    family text;
BEGIN
    IF NOT day_over(day, before_us) OR EXISTS (
        SELECT 1 FROM shard JOIN batch ON batch.id = shard.batch WHERE shard.id = ANY (shards) AND (batch.keep OR batch.unfinished)
    ) THEN
        RETURN false;
    END IF;
    UPDATE shard SET tasks = shard.tasks - given.tasks FROM unnest(shards, counts) AS given (id, tasks) WHERE shard.id = given.id;
    DELETE FROM link WHERE parent >= day_start(day) AND parent < day_start(day + 1);
    DELETE FROM link WHERE child >= day_start(day) AND child < day_start(day + 1);
    FOREACH family IN ARRAY day_families() LOOP
        EXECUTE format('DROP TABLE IF EXISTS %I', day_table(family, day));
    END LOOP;
    RETURN true;
EXCEPTION
    WHEN lock_not_available OR insufficient_privilege THEN RETURN false;
END
$$;

-- Move what must stay of a day to the rest, if it is no more than `most` rows, so that a few rows do not keep a partition for ever.
CREATE FUNCTION day_fold(day integer, most bigint) RETURNS boolean LANGUAGE plpgsql SET lock_timeout = '100ms' AS $$
DECLARE
    family text;
    folded text;
    found  bigint;
BEGIN
    FOREACH family IN ARRAY day_families() LOOP
        folded := day_table(family, day);
        CONTINUE WHEN to_regclass(folded) IS NULL;
        EXECUTE format('SELECT count(*) FROM (SELECT 1 FROM %I LIMIT $1) AS counted', folded) INTO found USING most + 1;
        most := most - found;
        IF most < 0 THEN
            RETURN false;
        END IF;
    END LOOP;
    FOREACH family IN ARRAY day_families() LOOP
        folded := day_table(family, day);
        CONTINUE WHEN to_regclass(folded) IS NULL;
        EXECUTE format('ALTER TABLE %I DETACH PARTITION %I', family, folded);
        EXECUTE format('INSERT INTO %I SELECT * FROM %I', family, folded);
        EXECUTE format('DROP TABLE %I', folded);
    END LOOP;
    RETURN true;
EXCEPTION
    WHEN lock_not_available OR insufficient_privilege THEN RETURN false;
END
$$;
