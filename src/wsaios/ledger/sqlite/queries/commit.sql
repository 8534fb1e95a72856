-- One statement for each family of a commit. Rows come as one JSON array, read with jsonb_each: it is parsed once, and what is
-- taken from a row is not parsed again. Bytes come joined in one blob, rows say where theirs lie (offset from 0, length).

-- name: commit_begin
-- Take the write lock at once, so that no statement below can meet another writer.
BEGIN IMMEDIATE;

-- name: commit_end
-- Make it durable.
COMMIT;

-- name: commit_undo
-- Forget what was written since commit_begin.
ROLLBACK;

-- name: owner_advance
-- Hold the epoch and raise the high-water marks; no row: the epoch is over.
-- epoch, id_high, now_us
UPDATE owner SET id_high = max(id_high, :id_high), clock_us = max(clock_us, :now_us) WHERE epoch = :epoch;

-- name: shards_add
-- New shards, without tasks yet.
-- rows: [[id, lane, tenant, handler, batch, concurrency_key, grade], …]
INSERT INTO shard (id, lane, tenant, handler, batch, concurrency_key, grade)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6 FROM jsonb_each(:rows);

-- name: batches_put
-- New batches, or what has become of them.
-- rows: [[id, state, handler, tenant, created_us, sealed_us, rows, keep, key, ranges, ended, meta], …]
INSERT INTO batch (id, state, handler, tenant, created_us, sealed_us, rows, keep, key, ranges, ended, meta, unfinished)
SELECT
    value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7, value ->> 8,
    value ->> 9, value ->> 10, value ->> 11,
    value ->> 1 = 0 OR value ->> 6 > (SELECT coalesce(sum(n.value), 0) FROM json_each(rows.value ->> 10) AS n)
FROM jsonb_each(:rows) AS rows
WHERE true
ON CONFLICT (id) DO UPDATE SET
    state = excluded.state, handler = excluded.handler, tenant = excluded.tenant, created_us = excluded.created_us,
    sealed_us = excluded.sealed_us, rows = excluded.rows, keep = excluded.keep, key = excluded.key,
    ranges = excluded.ranges, ended = excluded.ended, meta = excluded.meta, unfinished = excluded.unfinished;

-- name: outcomes_recall
-- Remove the outcomes of tasks that are replayed, each under a fence larger than the one it ended with.
-- rows: [[id, shard, state, fence, …], …]
DELETE FROM outcome WHERE id IN (
    SELECT old.id FROM jsonb_each(:rows) AS rows CROSS JOIN outcome AS old
    ON old.id = rows.value ->> 0 AND old.shard = rows.value ->> 1 AND old.fence < rows.value ->> 3
);

-- name: tasks_add
-- New live rows.
-- rows: [[id, shard, state, fence, key, due_us, expires_us, body, …], …]
INSERT INTO live (id, shard, state, fence, key, due_us, expires_us, body)
SELECT
    value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, jsonb_extract(value, '$[7]')
FROM jsonb_each(:rows);

-- name: shards_grow
-- Count the new tasks of shards; a shard that does not exist changes no row.
-- rows: [[id, tasks], …]
UPDATE shard SET tasks = tasks + rows.value ->> 1 FROM jsonb_each(:rows) AS rows WHERE shard.id = rows.value ->> 0;

-- name: payloads_add
-- Arguments of new tasks.
-- rows: [[id, codec, offset, length], …]; data
INSERT INTO payload (id, codec, data)
SELECT value ->> 0, value ->> 1, substr(:data, 1 + value ->> 2, value ->> 3) FROM jsonb_each(:rows);

-- name: tasks_change
-- What has become of live tasks; only rows that still have the stored fence. A task never changes its shard.
-- rows: [[id, shard, state, fence, key, due_us, expires_us, body, stored_fence], …]
UPDATE live SET
    state = rows.value ->> 2, fence = rows.value ->> 3, key = rows.value ->> 4, due_us = rows.value ->> 5,
    expires_us = rows.value ->> 6, body = jsonb_extract(rows.value, '$[7]')
FROM jsonb_each(:rows) AS rows
WHERE live.id = rows.value ->> 0 AND live.fence = rows.value ->> 8 AND live.shard = rows.value ->> 1;

-- name: history_add
-- Older entries of long histories.
-- rows: [[task, part, entries as text], …]
INSERT INTO history_part (task, part, entries)
SELECT value ->> 0, value ->> 1, value ->> 2 FROM jsonb_each(:rows);

-- name: checkpoints_put
-- The latest checkpoint of running tasks.
-- rows: [[id, codec, offset, length], …]; data
INSERT INTO checkpoint (id, codec, data)
SELECT value ->> 0, value ->> 1, substr(:data, 1 + value ->> 2, value ->> 3) FROM jsonb_each(:rows)
WHERE true
ON CONFLICT (id) DO UPDATE SET codec = excluded.codec, data = excluded.data;

-- name: checkpoints_any
-- Whether there is any checkpoint: most ledgers never have one, and then ending a task need not look for it.
SELECT EXISTS (SELECT 1 FROM checkpoint);

-- name: outcomes_add
-- How tasks ended: only those whose live row still has the stored fence, and each once.
-- rows: [[id, stored_fence, fence, state, shard, ended_us, key, expires_us, codec, offset or null, length, failure, body], …]; data
INSERT INTO outcome (id, fence, state, shard, ended_us, key, expires_us, codec, failure, body, result)
SELECT
    live.id, rows.value ->> 2, rows.value ->> 3, live.shard, rows.value ->> 5, rows.value ->> 6, rows.value ->> 7,
    rows.value ->> 8, rows.value ->> 11, jsonb_extract(rows.value, '$[12]'),
    substr(:data, 1 + rows.value ->> 9, rows.value ->> 10)
FROM jsonb_each(:rows) AS rows
CROSS JOIN live ON live.id = rows.value ->> 0 AND live.fence = rows.value ->> 1 AND live.shard = rows.value ->> 4;

-- name: tasks_remove
-- Live rows of tasks that ended.
-- ids: [id, …]
DELETE FROM live WHERE id IN (SELECT value FROM json_each(:ids));

-- name: checkpoints_remove
-- Checkpoints of tasks that ended.
-- ids: [id, …]
DELETE FROM checkpoint WHERE id IN (SELECT value FROM json_each(:ids));

-- name: links_add
-- Dependents of parents; one that is there already stays.
-- rows: [[parent, child], …]
INSERT OR IGNORE INTO link (parent, child) SELECT value ->> 0, value ->> 1 FROM jsonb_each(:rows);

-- name: links_remove
-- Links whose child was told.
-- rows: [[parent, child], …]
DELETE FROM link WHERE (parent, child) IN (SELECT value ->> 0, value ->> 1 FROM jsonb_each(:rows));

-- name: releases_add
-- Parents that ended and whose dependents are still to be told.
-- ids: [parent, …]
INSERT OR IGNORE INTO release (parent) SELECT value FROM json_each(:ids);

-- name: releases_remove
-- Parents whose dependents were all told.
-- ids: [parent, …]
DELETE FROM release WHERE parent IN (SELECT value FROM json_each(:ids));

-- name: keys_put
-- Idempotency keys; one that is still in force for another task is left, and then changes no row.
-- What has no digest says only that a client sent it: there the latest word counts.
-- rows: [[tenant, key, task, digest, until_us], …]; now_us
INSERT INTO idempotency (tenant, key, task, digest, until_us)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4 FROM jsonb_each(:rows)
WHERE true
ON CONFLICT (tenant, key) DO UPDATE SET task = excluded.task, digest = excluded.digest, until_us = excluded.until_us
WHERE idempotency.until_us <= :now_us OR idempotency.task = excluded.task OR idempotency.digest = '';

-- name: facts_put
-- Facts in the order of their changes, NULL for removed; a fact that comes back goes on counting where its log ends.
-- rows: [[component, key, value as JSON text or null], …]; now_us
INSERT INTO fact (component, key, value, version, changed_us)
SELECT
    rows.value ->> 0, rows.value ->> 1, rows.value ->> 2,
    1 + coalesce((SELECT max(log.version) FROM fact_log AS log WHERE log.component = rows.value ->> 0 AND log.key = rows.value ->> 1), 0),
    :now_us
FROM jsonb_each(:rows) AS rows
WHERE true
ON CONFLICT (component, key) DO UPDATE SET
    value = excluded.value, version = fact.version + 1, changed_us = excluded.changed_us;

-- name: facts_remove
-- Facts that were set to nothing; their log stays.
-- rows: [[component, key, null], …]
DELETE FROM fact
WHERE value IS NULL AND (component, key) IN (SELECT value ->> 0, value ->> 1 FROM jsonb_each(:rows));

-- name: definitions_add
-- Definitions by the hash of their content; one that is there is the same.
-- rows: [[version, name, created_us, offset, length], …]; data
INSERT OR IGNORE INTO definition (version, name, created_us, content)
SELECT value ->> 0, value ->> 1, value ->> 2, substr(:data, 1 + value ->> 3, value ->> 4) FROM jsonb_each(:rows);

-- name: runs_put
-- New runs, or what has become of them.
-- rows: [[id, state, version, name, tenant, priority, created_us, ended_us, tries, input, output, failure], …]
INSERT INTO run (id, state, version, name, tenant, priority, created_us, ended_us, tries, input, output, failure)
SELECT
    value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7, value ->> 8,
    value ->> 9, value ->> 10, value ->> 11
FROM jsonb_each(:rows)
WHERE true
ON CONFLICT (id) DO UPDATE SET
    state = excluded.state, version = excluded.version, priority = excluded.priority, ended_us = excluded.ended_us,
    tries = excluded.tries, output = excluded.output, failure = excluded.failure;

-- name: steps_remove
-- Steps that are done again.
-- rows: [[run, number, item], …]
DELETE FROM step WHERE (run, number, item) IN (SELECT value ->> 0, value ->> 1, value ->> 2 FROM jsonb_each(:rows));

-- name: steps_put
-- Steps that begin, or what has become of them.
-- rows: [[run, number, item, task, state, at_us, data, failure, …], …]
INSERT INTO step (run, number, item, task, state, at_us, data, failure)
SELECT
    value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7
FROM jsonb_each(:rows)
WHERE true
ON CONFLICT (run, number, item) DO UPDATE SET
    task = excluded.task, state = excluded.state, at_us = excluded.at_us, data = excluded.data, failure = excluded.failure;

-- name: purge_choose
-- Live tasks in ranges of ids of one slot each, as [[id, shard], …]: other slots have ids between them.
-- rows: [[first, last], …]; limit
SELECT json_group_array(json_array(id, shard)) FROM (
    SELECT DISTINCT live.id, live.shard FROM jsonb_each(:rows) AS rows CROSS JOIN live
    ON live.id BETWEEN rows.value ->> 0 AND rows.value ->> 1 AND (live.id >> 12) & 1023 = (rows.value ->> 0 >> 12) & 1023
    LIMIT :limit
);

-- name: payloads_remove
-- Arguments of tasks that are gone.
-- ids: [id, …]
DELETE FROM payload WHERE id IN (SELECT value FROM json_each(:ids));

-- name: history_remove
-- Older entries of tasks that are gone.
-- ids: [id, …]
DELETE FROM history_part WHERE task IN (SELECT value FROM json_each(:ids));

-- name: links_remove_child
-- Links to tasks that are gone.
-- ids: [id, …]
DELETE FROM link WHERE child IN (SELECT value FROM json_each(:ids));

-- name: links_remove_parent
-- Links from tasks that are gone.
-- ids: [id, …]
DELETE FROM link WHERE parent IN (SELECT value FROM json_each(:ids));
