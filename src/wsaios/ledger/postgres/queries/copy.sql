-- Copying a ledger from or to another one: rows by their keys, in the form of ledger/transfer.py, and how far a copy has come.
-- Rows are written with COPY, so no statement here adds any.

-- name: copy_owner
-- What the owner of now or of last time called itself, what must not fall, and how much was left by clients.
SELECT session, epoch, id_high, clock_us, clean, (SELECT count(*) FROM intake WHERE ready) AS waiting FROM owner;

-- name: copy_owner_raise
-- Raise what must not fall; no row: the epoch is over.
-- epoch, id_high, clock_us
UPDATE owner SET id_high = greatest(id_high, :id_high::bigint), clock_us = greatest(clock_us, :clock_us::bigint) WHERE epoch = :epoch::bigint;

-- name: copy_ids_raise
-- Give out no id in the intake that is below one that was given before.
-- id_high
SELECT setval('intake_id', greatest(last_value, ((:id_high::bigint >> 22) + 1) << 12)) FROM intake_id;

-- name: copy_owner_finish
-- Go on counting owners where the other ledger came to; no row: the epoch is over.
-- epoch, next, clean
UPDATE owner SET epoch = greatest(epoch, :next::bigint), clean = :clean::boolean WHERE epoch = :epoch::bigint;

-- name: copy_mark_make
-- The table whose being there says that this is half a copy; it is in no migration, for it goes when the copy is whole.
CREATE TABLE copying (
    one    smallint PRIMARY KEY CHECK (one = 1),
    source text NOT NULL,
    word   text NOT NULL,
    place  text NOT NULL,
    last   bytea NOT NULL,
    rows   bigint NOT NULL CHECK (rows >= 0)
);

-- name: copy_mark_begin
-- Mark half a copy.
-- source, word, place: a table, last: the key of its last row, rows
INSERT INTO copying (one, source, word, place, last, rows)
VALUES (1, :source::text, :word::text, :place::text, :last::bytea, :rows::bigint);

-- name: copy_mark_read
-- How far the copy has come.
SELECT source, word, place, last, rows FROM copying;

-- name: copy_mark_advance
-- It has come so far.
-- place, last, rows
UPDATE copying SET place = :place::text, last = :last::bytea, rows = :rows::bigint;

-- name: copy_mark_drop
-- The copy is whole.
DROP TABLE copying;

-- name: copy_counts
-- How many rows each table has, as (table, rows).
SELECT 'batch' AS name, count(*) AS rows FROM batch
UNION ALL SELECT 'shard', count(*) FROM shard
UNION ALL SELECT 'live', count(*) FROM live
UNION ALL SELECT 'payload', count(*) FROM payload
UNION ALL SELECT 'checkpoint', count(*) FROM checkpoint
UNION ALL SELECT 'outcome', count(*) FROM outcome
UNION ALL SELECT 'history_part', count(*) FROM history_part
UNION ALL SELECT 'link', count(*) FROM link
UNION ALL SELECT 'release', count(*) FROM release
UNION ALL SELECT 'idempotency', count(*) FROM idempotency
UNION ALL SELECT 'definition', count(*) FROM definition
UNION ALL SELECT 'run', count(*) FROM run
UNION ALL SELECT 'step', count(*) FROM step
UNION ALL SELECT 'fact', count(*) FROM fact
UNION ALL SELECT 'fact_log', count(*) FROM fact_log;

-- name: copy_read_batch
-- Batches by key.
-- first: the key before, limit
SELECT id, state, handler, tenant, created_us, sealed_us, rows, keep, key, ranges, ended, meta, unfinished FROM batch
WHERE id > :first::bigint ORDER BY id LIMIT :limit::bigint;

-- name: copy_read_shard
-- Shards by key.
-- first: the key before, limit
SELECT id, lane, tenant, handler, batch, concurrency_key, grade, tasks FROM shard
WHERE id > :first::bigint ORDER BY id LIMIT :limit::bigint;

-- name: copy_read_live
-- Live tasks by key.
-- first: the key before, limit
SELECT id, shard, state, fence, key, due_us, expires_us, body FROM live
WHERE id > :first::bigint ORDER BY id LIMIT :limit::bigint;

-- name: copy_read_payload
-- Arguments by key.
-- first: the key before, limit
SELECT id, codec, data FROM payload
WHERE id > :first::bigint ORDER BY id LIMIT :limit::bigint;

-- name: copy_read_checkpoint
-- Checkpoints by key.
-- first: the key before, limit
SELECT id, codec, data FROM checkpoint
WHERE id > :first::bigint ORDER BY id LIMIT :limit::bigint;

-- name: copy_read_outcome
-- Outcomes by key.
-- first: the key before, limit
SELECT id, fence, state, shard, ended_us, key, expires_us, codec, failure, body, result FROM outcome
WHERE id > :first::bigint ORDER BY id LIMIT :limit::bigint;

-- name: copy_read_history_part
-- Older entries of histories by key.
-- first, second: the key before, limit
SELECT task, part, entries FROM history_part
WHERE (task, part) > (:first::bigint, :second::bigint) ORDER BY task, part LIMIT :limit::bigint;

-- name: copy_read_link
-- Dependencies by key.
-- first, second: the key before, limit
SELECT parent, child FROM link
WHERE (parent, child) > (:first::bigint, :second::bigint) ORDER BY parent, child LIMIT :limit::bigint;

-- name: copy_read_release
-- Parents that ended and whose dependents are still to be told by key.
-- first: the key before, limit
SELECT parent FROM release
WHERE parent > :first::bigint ORDER BY parent LIMIT :limit::bigint;

-- name: copy_read_idempotency
-- Idempotency keys by key.
-- first, second: the key before, limit
SELECT tenant, key, task, digest, until_us FROM idempotency
WHERE (tenant, key) > (:first::bytea, :second::bytea) ORDER BY tenant, key LIMIT :limit::bigint;

-- name: copy_read_fact
-- Facts by key.
-- first, second: the key before, limit
SELECT component, key, value, version, changed_us FROM fact
WHERE (component, key) > (:first::bytea, :second::bytea) ORDER BY component, key LIMIT :limit::bigint;

-- name: copy_read_fact_log
-- Old values of facts by key.
-- first, second, third: the key before, limit
SELECT component, key, version, value, at_us FROM fact_log
WHERE (component, key, version) > (:first::bytea, :second::bytea, :third::bigint) ORDER BY component, key, version LIMIT :limit::bigint;

-- name: copy_read_definition
-- Definitions by key.
-- first: the key before, limit
SELECT version, name, created_us, content FROM definition
WHERE version > :first::text ORDER BY version LIMIT :limit::bigint;

-- name: copy_read_run
-- Runs by key.
-- first: the key before, limit
SELECT id, state, version, name, tenant, priority, created_us, ended_us, tries, input, output, failure, going FROM run
WHERE id > :first::bigint ORDER BY id LIMIT :limit::bigint;

-- name: copy_read_step
-- Steps by key.
-- first, second, third: the key before, limit
SELECT run, number, item, task, state, at_us, data, failure FROM step
WHERE (run, number, item) > (:first::bigint, :second::bigint, :third::bigint) ORDER BY run, number, item LIMIT :limit::bigint;
