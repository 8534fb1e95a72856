-- Copying a ledger from or to another one: rows by their keys, in the form of ledger/transfer.py, and how far a copy has come.
-- Names are bytes in it, as on PostgreSQL, where they may hold U+0000; bodies are JSON as text.

-- name: copy_owner
-- What the owner of now or of last time called itself, what must not fall, and how much was left by clients.
SELECT session, epoch, id_high, clock_us, clean, 0 AS waiting FROM owner;

-- name: copy_owner_raise
-- Raise what must not fall; no row: the epoch is over.
-- epoch, id_high, clock_us
UPDATE owner SET id_high = max(id_high, :id_high), clock_us = max(clock_us, :clock_us) WHERE epoch = :epoch;

-- name: copy_owner_finish
-- Go on counting owners where the other ledger came to; no row: the epoch is over.
-- epoch, next, clean
UPDATE owner SET epoch = max(epoch, :next), clean = :clean WHERE epoch = :epoch;

-- name: copy_mark_make
-- The table whose being there says that this is half a copy; it is in no migration, for it goes when the copy is whole.
CREATE TABLE copying (
    one    INTEGER PRIMARY KEY CHECK (one = 1),
    source TEXT    NOT NULL,
    word   TEXT    NOT NULL,
    place  TEXT    NOT NULL,
    last   BLOB    NOT NULL,
    rows   INTEGER NOT NULL CHECK (rows >= 0)
) STRICT;

-- name: copy_mark_begin
-- Mark half a copy.
-- source, word, place: a table, last: the key of its last row, rows
INSERT INTO copying (one, source, word, place, last, rows)
VALUES (1, :source, :word, :place, :last, :rows);

-- name: copy_mark_read
-- How far the copy has come.
SELECT source, word, place, last, rows FROM copying;

-- name: copy_mark_advance
-- It has come so far.
-- place, last, rows
UPDATE copying SET place = :place, last = :last, rows = :rows;

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

-- name: copy_forget_log
-- What a trigger wrote while facts were copied; the log itself comes after them.
DELETE FROM fact_log;

-- name: copy_read_batch
-- Batches by key.
-- first: the key before, limit
SELECT id, state, handler, tenant, created_us, sealed_us, rows, keep, CAST(key AS BLOB), ranges, ended, meta, unfinished FROM batch
WHERE id > :first ORDER BY id LIMIT :limit;

-- name: copy_add_batch
-- Batches, one row.
-- id, state, handler, tenant, created_us, sealed_us, rows, keep, key, ranges, ended, meta, unfinished
INSERT INTO batch (id, state, handler, tenant, created_us, sealed_us, rows, keep, key, ranges, ended, meta, unfinished)
VALUES (:id, :state, :handler, :tenant, :created_us, :sealed_us, :rows, :keep, CAST(:key AS TEXT), :ranges, :ended, :meta, :unfinished);

-- name: copy_read_shard
-- Shards by key.
-- first: the key before, limit
SELECT id, lane, tenant, handler, batch, concurrency_key, grade, tasks FROM shard
WHERE id > :first ORDER BY id LIMIT :limit;

-- name: copy_add_shard
-- Shards, one row.
-- id, lane, tenant, handler, batch, concurrency_key, grade, tasks
INSERT INTO shard (id, lane, tenant, handler, batch, concurrency_key, grade, tasks)
VALUES (:id, :lane, :tenant, :handler, :batch, :concurrency_key, :grade, :tasks);

-- name: copy_read_live
-- Live tasks by key.
-- first: the key before, limit
SELECT id, shard, state, fence, key, due_us, expires_us, json(body) FROM live
WHERE id > :first ORDER BY id LIMIT :limit;

-- name: copy_add_live
-- Live tasks, one row.
-- id, shard, state, fence, key, due_us, expires_us, body
INSERT INTO live (id, shard, state, fence, key, due_us, expires_us, body)
VALUES (:id, :shard, :state, :fence, :key, :due_us, :expires_us, jsonb(:body));

-- name: copy_read_payload
-- Arguments by key.
-- first: the key before, limit
SELECT id, codec, data FROM payload
WHERE id > :first ORDER BY id LIMIT :limit;

-- name: copy_add_payload
-- Arguments, one row.
-- id, codec, data
INSERT INTO payload (id, codec, data)
VALUES (:id, :codec, :data);

-- name: copy_read_checkpoint
-- Checkpoints by key.
-- first: the key before, limit
SELECT id, codec, data FROM checkpoint
WHERE id > :first ORDER BY id LIMIT :limit;

-- name: copy_add_checkpoint
-- Checkpoints, one row.
-- id, codec, data
INSERT INTO checkpoint (id, codec, data)
VALUES (:id, :codec, :data);

-- name: copy_read_outcome
-- Outcomes by key.
-- first: the key before, limit
SELECT id, fence, state, shard, ended_us, key, expires_us, codec, failure, json(body), result FROM outcome
WHERE id > :first ORDER BY id LIMIT :limit;

-- name: copy_add_outcome
-- Outcomes, one row.
-- id, fence, state, shard, ended_us, key, expires_us, codec, failure, body, result
INSERT INTO outcome (id, fence, state, shard, ended_us, key, expires_us, codec, failure, body, result)
VALUES (:id, :fence, :state, :shard, :ended_us, :key, :expires_us, :codec, :failure, jsonb(:body), :result);

-- name: copy_read_history_part
-- Older entries of histories by key.
-- first, second: the key before, limit
SELECT task, part, entries FROM history_part
WHERE (task, part) > (:first, :second) ORDER BY task, part LIMIT :limit;

-- name: copy_add_history_part
-- Older entries of histories, one row.
-- task, part, entries
INSERT INTO history_part (task, part, entries)
VALUES (:task, :part, :entries);

-- name: copy_read_link
-- Dependencies by key.
-- first, second: the key before, limit
SELECT parent, child FROM link
WHERE (parent, child) > (:first, :second) ORDER BY parent, child LIMIT :limit;

-- name: copy_add_link
-- Dependencies, one row.
-- parent, child
INSERT INTO link (parent, child)
VALUES (:parent, :child);

-- name: copy_read_release
-- Parents that ended and whose dependents are still to be told by key.
-- first: the key before, limit
SELECT parent FROM release
WHERE parent > :first ORDER BY parent LIMIT :limit;

-- name: copy_add_release
-- Parents that ended and whose dependents are still to be told, one row.
-- parent
INSERT INTO release (parent)
VALUES (:parent);

-- name: copy_read_idempotency
-- Idempotency keys by key.
-- first, second: the key before, limit
SELECT CAST(tenant AS BLOB), CAST(key AS BLOB), task, digest, until_us FROM idempotency
WHERE (tenant, key) > (CAST(:first AS TEXT), CAST(:second AS TEXT)) ORDER BY tenant, key LIMIT :limit;

-- name: copy_add_idempotency
-- Idempotency keys, one row.
-- tenant, key, task, digest, until_us
INSERT INTO idempotency (tenant, key, task, digest, until_us)
VALUES (CAST(:tenant AS TEXT), CAST(:key AS TEXT), :task, :digest, :until_us);

-- name: copy_read_fact
-- Facts by key.
-- first, second: the key before, limit
SELECT CAST(component AS BLOB), CAST(key AS BLOB), value, version, changed_us FROM fact
WHERE (component, key) > (CAST(:first AS TEXT), CAST(:second AS TEXT)) ORDER BY component, key LIMIT :limit;

-- name: copy_add_fact
-- Facts, one row.
-- component, key, value, version, changed_us
INSERT INTO fact (component, key, value, version, changed_us)
VALUES (CAST(:component AS TEXT), CAST(:key AS TEXT), :value, :version, :changed_us);

-- name: copy_read_fact_log
-- Old values of facts by key.
-- first, second, third: the key before, limit
SELECT CAST(component AS BLOB), CAST(key AS BLOB), version, value, at_us FROM fact_log
WHERE (component, key, version) > (CAST(:first AS TEXT), CAST(:second AS TEXT), :third) ORDER BY component, key, version LIMIT :limit;

-- name: copy_add_fact_log
-- Old values of facts, one row.
-- component, key, version, value, at_us
INSERT INTO fact_log (component, key, version, value, at_us)
VALUES (CAST(:component AS TEXT), CAST(:key AS TEXT), :version, :value, :at_us);

-- name: copy_read_definition
-- Definitions by key.
-- first: the key before, limit
SELECT version, name, created_us, content FROM definition
WHERE version > :first ORDER BY version LIMIT :limit;

-- name: copy_add_definition
-- Definitions, one row.
-- version, name, created_us, content
INSERT INTO definition (version, name, created_us, content)
VALUES (:version, :name, :created_us, :content);

-- name: copy_read_run
-- Runs by key.
-- first: the key before, limit
SELECT id, state, version, name, tenant, priority, created_us, ended_us, tries, input, output, failure, going FROM run
WHERE id > :first ORDER BY id LIMIT :limit;

-- name: copy_add_run
-- Runs, one row.
-- id, state, version, name, tenant, priority, created_us, ended_us, tries, input, output, failure, going
INSERT INTO run (id, state, version, name, tenant, priority, created_us, ended_us, tries, input, output, failure, going)
VALUES (
    :id, :state, :version, :name, :tenant, :priority, :created_us, :ended_us, :tries, :input, :output, :failure, :going
);

-- name: copy_read_step
-- Steps by key.
-- first, second, third: the key before, limit
SELECT run, number, item, task, state, at_us, data, failure FROM step
WHERE (run, number, item) > (:first, :second, :third) ORDER BY run, number, item LIMIT :limit;

-- name: copy_add_step
-- Steps, one row.
-- run, number, item, task, state, at_us, data, failure
INSERT INTO step (run, number, item, task, state, at_us, data, failure)
VALUES (:run, :number, :item, :task, :state, :at_us, :data, :failure);
