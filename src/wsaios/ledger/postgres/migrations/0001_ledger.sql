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

-- Arguments; kept until the outcome is pruned, so that a failed task can be replayed.
CREATE TABLE payload (
    id    bigint   PRIMARY KEY,
    codec smallint NOT NULL CHECK (codec BETWEEN 0 AND 2),
    data  bytea    NOT NULL
);

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
);
CREATE INDEX outcome_by_end ON outcome (ended_us, id);
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
);

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
