-- The first schema: who owns the ledger, live tasks, what ended, and the facts of the components.
-- Times are µs UTC, ids have 63 bits, states are the numbers of kernel/states.py (1…5 live, 6…10 ended). A body is a JSON array in
-- SQLite's binary form, as it comes out of the statement that writes it; json(body) shows it.

-- One row: the owner of now or, when `clean` is set, of last time. On SQLite the lock file decides; lease_until_us stays NULL.
CREATE TABLE owner (
    one            INTEGER PRIMARY KEY CHECK (one = 1),
    epoch          INTEGER NOT NULL CHECK (epoch >= 0),
    session        TEXT    NOT NULL,
    slot           INTEGER NOT NULL CHECK (slot BETWEEN 0 AND 1023),
    id_high        INTEGER NOT NULL CHECK (id_high >= 0),
    clock_us       INTEGER NOT NULL CHECK (clock_us >= 0),
    host           TEXT    NOT NULL,
    pid            INTEGER NOT NULL,
    boot_id        TEXT    NOT NULL,
    started        TEXT    NOT NULL,
    who            TEXT    NOT NULL,
    since_us       INTEGER NOT NULL,
    lease_until_us INTEGER,
    clean          INTEGER NOT NULL CHECK (clean IN (0, 1))
) STRICT;
INSERT INTO owner VALUES (1, 0, '', 0, 0, 0, '', 0, '', '', '', 0, NULL, 1);

CREATE TABLE batch (
    id         INTEGER PRIMARY KEY CHECK (id > 0),
    state      INTEGER NOT NULL CHECK (state BETWEEN 0 AND 2),
    handler    TEXT    NOT NULL,
    tenant     TEXT    NOT NULL,
    created_us INTEGER NOT NULL,
    sealed_us  INTEGER NOT NULL,
    rows       INTEGER NOT NULL CHECK (rows >= 0),
    keep       INTEGER NOT NULL CHECK (keep IN (0, 1)),
    key        TEXT,
    ranges     TEXT    NOT NULL CHECK (json_valid(ranges)),
    ended      TEXT    NOT NULL CHECK (json_valid(ended)),
    meta       TEXT    NOT NULL CHECK (json_valid(meta)),
    unfinished INTEGER NOT NULL CHECK (unfinished IN (0, 1))
) STRICT;
CREATE INDEX batch_by_key ON batch (key, id) WHERE key IS NOT NULL;
CREATE INDEX batch_unfinished ON batch (id) WHERE unfinished = 1;

-- `tasks` counts the live and ended tasks of the shard, so that one nobody needs can be told without a search. Two shards may have
-- the same five: one that the core had forgotten, because nothing of it was in memory, is made anew when more of it comes in.
CREATE TABLE shard (
    id              INTEGER PRIMARY KEY CHECK (id > 0),
    lane            TEXT    NOT NULL,
    tenant          TEXT    NOT NULL,
    handler         TEXT    NOT NULL,
    batch           INTEGER NOT NULL,
    concurrency_key TEXT    NOT NULL,
    tasks           INTEGER NOT NULL DEFAULT 0 CHECK (tasks >= 0)
) STRICT;
CREATE INDEX shard_unused ON shard (id) WHERE tasks = 0;
CREATE INDEX shard_of_batch ON shard (batch) WHERE batch <> 0;

CREATE TABLE live (
    id         INTEGER PRIMARY KEY CHECK (id > 0),
    shard      INTEGER NOT NULL,
    state      INTEGER NOT NULL CHECK (state BETWEEN 1 AND 5),
    fence      INTEGER NOT NULL CHECK (fence >= 0),
    key        INTEGER NOT NULL,
    due_us     INTEGER,
    expires_us INTEGER,
    body       BLOB    NOT NULL
) STRICT;
CREATE INDEX live_ready ON live (shard, key, id) WHERE state = 2;
CREATE INDEX live_due ON live (due_us, id) WHERE due_us IS NOT NULL AND state IN (1, 4);
CREATE INDEX live_expiring ON live (expires_us, id) WHERE expires_us IS NOT NULL AND state <> 3;
-- All but the ready ones, of which there may be ten million: what runs is found at once when an owner starts.
CREATE INDEX live_by_state ON live (state, id) WHERE state <> 2;

-- Arguments; kept until the outcome is pruned, so that a failed task can be replayed.
CREATE TABLE payload (
    id    INTEGER PRIMARY KEY,
    codec INTEGER NOT NULL CHECK (codec BETWEEN 0 AND 2),
    data  BLOB    NOT NULL
) STRICT;

CREATE TABLE checkpoint (
    id    INTEGER PRIMARY KEY,
    codec INTEGER NOT NULL CHECK (codec BETWEEN 0 AND 2),
    data  BLOB    NOT NULL
) STRICT;

-- One row for each task that ended. The result stands last: what comes before it is read without it.
CREATE TABLE outcome (
    id         INTEGER PRIMARY KEY CHECK (id > 0),
    fence      INTEGER NOT NULL CHECK (fence >= 0),
    state      INTEGER NOT NULL CHECK (state BETWEEN 6 AND 10),
    shard      INTEGER NOT NULL,
    ended_us   INTEGER NOT NULL,
    key        INTEGER NOT NULL,
    expires_us INTEGER,
    codec      INTEGER NOT NULL CHECK (codec BETWEEN 0 AND 2),
    failure    TEXT,
    body       BLOB    NOT NULL,
    result     BLOB
) STRICT;
CREATE INDEX outcome_by_end ON outcome (ended_us, shard);
CREATE INDEX outcome_unsuccessful ON outcome (id, state) WHERE state <> 6;
CREATE TRIGGER outcome_is_final BEFORE UPDATE ON outcome
BEGIN
    SELECT RAISE(ABORT, 'an outcome is written once');
END;

CREATE TABLE history_part (
    task    INTEGER NOT NULL,
    part    INTEGER NOT NULL,
    entries TEXT    NOT NULL CHECK (json_valid(entries)),
    PRIMARY KEY (task, part)
) STRICT, WITHOUT ROWID;

CREATE TABLE link (
    parent INTEGER NOT NULL,
    child  INTEGER NOT NULL,
    PRIMARY KEY (parent, child),
    CHECK (parent <> child)
) STRICT, WITHOUT ROWID;
CREATE INDEX link_by_child ON link (child);

-- Parents that ended and whose dependents are still to be told.
CREATE TABLE release (
    parent INTEGER PRIMARY KEY
) STRICT;

CREATE TABLE idempotency (
    tenant   TEXT    NOT NULL,
    key      TEXT    NOT NULL,
    task     INTEGER NOT NULL,
    digest   TEXT    NOT NULL,
    until_us INTEGER NOT NULL,
    PRIMARY KEY (tenant, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_by_end ON idempotency (until_us);

CREATE TABLE fact (
    component  TEXT    NOT NULL,
    key        TEXT    NOT NULL,
    value      TEXT,
    version    INTEGER NOT NULL CHECK (version > 0),
    changed_us INTEGER NOT NULL,
    PRIMARY KEY (component, key)
) STRICT, WITHOUT ROWID;

-- Every value that a fact had, NULL for removed; the last 64 of each fact until they are pruned by age.
CREATE TABLE fact_log (
    component TEXT    NOT NULL,
    key       TEXT    NOT NULL,
    version   INTEGER NOT NULL,
    value     TEXT,
    at_us     INTEGER NOT NULL,
    PRIMARY KEY (component, key, version)
) STRICT, WITHOUT ROWID;
CREATE INDEX fact_log_by_time ON fact_log (at_us);
CREATE TRIGGER fact_added AFTER INSERT ON fact
BEGIN
    INSERT INTO fact_log VALUES (NEW.component, NEW.key, NEW.version, NEW.value, NEW.changed_us);
END;
CREATE TRIGGER fact_changed AFTER UPDATE ON fact
BEGIN
    INSERT INTO fact_log VALUES (NEW.component, NEW.key, NEW.version, NEW.value, NEW.changed_us);
    DELETE FROM fact_log WHERE component = NEW.component AND key = NEW.key AND version <= NEW.version - 64;
END;
