-- One statement for each family of a commit. Rows come as one array a column, so that no statement runs more than once.

-- name: commit_begin
-- Begin; what two transactions of owners could quarrel over is the owner's row, and the next statement takes it.
BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;

-- name: commit_end
-- Make it durable.
COMMIT;

-- name: commit_undo
-- Forget what was written since commit_begin.
ROLLBACK;

-- name: owner_advance
-- Hold the epoch, prolong the lease and raise the high-water marks; no row: the epoch is over.
-- epoch, id_high, now_us, lease_us
UPDATE owner SET
    id_high = greatest(id_high, :id_high::bigint), clock_us = greatest(clock_us, :now_us::bigint),
    lease_until_us = (extract(epoch FROM clock_timestamp()) * 1000000)::bigint + :lease_us::bigint
WHERE epoch = :epoch::bigint;

-- name: intake_remove
-- Take rows out of the intake.
-- places
DELETE FROM intake WHERE place = ANY (:places::bigint[]);

-- name: shards_add
-- New shards, without tasks yet.
-- ids, lanes, tenants, handlers, batches, concurrency_keys, grades
INSERT INTO shard (id, lane, tenant, handler, batch, concurrency_key, grade)
SELECT * FROM unnest(
    :ids::bigint[], :lanes::text[], :tenants::text[], :handlers::text[], :batches::bigint[], :concurrency_keys::text[],
    :grades::smallint[]
);

-- name: batches_put
-- New batches, or what has become of them; each id once.
-- ids, states, handlers, tenants, created_us, sealed_us, rows, keeps, keys, ranges, ended, metas, unfinished
INSERT INTO batch (id, state, handler, tenant, created_us, sealed_us, rows, keep, key, ranges, ended, meta, unfinished)
SELECT * FROM unnest(
    :ids::bigint[], :states::smallint[], :handlers::text[], :tenants::text[], :created_us::bigint[], :sealed_us::bigint[],
    :rows::bigint[], :keeps::boolean[], :keys::bytea[], :ranges::json[], :ended::json[], :metas::json[], :unfinished::boolean[]
)
ON CONFLICT (id) DO UPDATE SET
    state = excluded.state, handler = excluded.handler, tenant = excluded.tenant, created_us = excluded.created_us,
    sealed_us = excluded.sealed_us, rows = excluded.rows, keep = excluded.keep, key = excluded.key,
    ranges = excluded.ranges, ended = excluded.ended, meta = excluded.meta, unfinished = excluded.unfinished;

-- name: outcomes_recall
-- Remove the outcomes of tasks that are replayed, each under a fence larger than the one it ended with.
-- ids, shards, fences
DELETE FROM outcome USING unnest(:ids::bigint[], :shards::bigint[], :fences::bigint[]) AS given (id, shard, fence)
WHERE outcome.id = given.id AND outcome.shard = given.shard AND outcome.fence < given.fence;

-- name: tasks_add
-- New live rows.
-- ids, shards, states, fences, keys, due_us, expires_us, bodies
INSERT INTO live (id, shard, state, fence, key, due_us, expires_us, body)
SELECT * FROM unnest(
    :ids::bigint[], :shards::bigint[], :states::smallint[], :fences::bigint[], :keys::bigint[], :due_us::bigint[],
    :expires_us::bigint[], :bodies::json[]
);

-- name: shards_grow
-- Count the new tasks of shards, each once; a shard that does not exist changes no row.
-- ids, tasks
UPDATE shard SET tasks = shard.tasks + given.tasks FROM unnest(:ids::bigint[], :tasks::bigint[]) AS given (id, tasks)
WHERE shard.id = given.id;

-- name: payloads_add
-- Arguments of new tasks.
-- ids, codecs, data
INSERT INTO payload (id, codec, data) SELECT * FROM unnest(:ids::bigint[], :codecs::smallint[], :data::bytea[]);

-- name: tasks_change
-- What has become of live tasks; only rows that still have the stored fence. A task never changes its shard.
-- ids, shards, states, fences, keys, due_us, expires_us, bodies, stored_fences
UPDATE live SET
    state = given.state, fence = given.fence, key = given.key, due_us = given.due_us, expires_us = given.expires_us, body = given.body
FROM unnest(
    :ids::bigint[], :shards::bigint[], :states::smallint[], :fences::bigint[], :keys::bigint[], :due_us::bigint[],
    :expires_us::bigint[], :bodies::json[], :stored_fences::bigint[]
) AS given (id, shard, state, fence, key, due_us, expires_us, body, stored_fence)
WHERE live.id = given.id AND live.fence = given.stored_fence AND live.shard = given.shard;

-- name: history_add
-- Older entries of long histories.
-- tasks, parts, entries
INSERT INTO history_part (task, part, entries) SELECT * FROM unnest(:tasks::bigint[], :parts::integer[], :entries::json[]);

-- name: checkpoints_put
-- The latest checkpoint of running tasks, each once.
-- ids, codecs, data
INSERT INTO checkpoint (id, codec, data) SELECT * FROM unnest(:ids::bigint[], :codecs::smallint[], :data::bytea[])
ON CONFLICT (id) DO UPDATE SET codec = excluded.codec, data = excluded.data;

-- name: checkpoints_any
-- Whether there is any checkpoint: most ledgers never have one, and then ending a task need not look for it.
SELECT EXISTS (SELECT 1 FROM checkpoint);

-- name: outcomes_add
-- How tasks ended: only those whose live row still has the stored fence, and each once.
-- ids, stored_fences, fences, states, shards, ended_us, keys, expires_us, codecs, failures, bodies, results
INSERT INTO outcome (id, fence, state, shard, ended_us, key, expires_us, codec, failure, body, result)
SELECT
    given.id, given.fence, given.state, given.shard, given.ended_us, given.key, given.expires_us, given.codec, given.failure,
    given.body, given.result
FROM unnest(
    :ids::bigint[], :stored_fences::bigint[], :fences::bigint[], :states::smallint[], :shards::bigint[], :ended_us::bigint[],
    :keys::bigint[], :expires_us::bigint[], :codecs::smallint[], :failures::json[], :bodies::json[], :results::bytea[]
) AS given (id, stored_fence, fence, state, shard, ended_us, key, expires_us, codec, failure, body, result)
JOIN live ON live.id = given.id AND live.fence = given.stored_fence AND live.shard = given.shard;

-- name: tasks_remove
-- Live rows of tasks that ended.
-- ids
DELETE FROM live WHERE id = ANY (:ids::bigint[]);

-- name: checkpoints_remove
-- Checkpoints of tasks that ended.
-- ids
DELETE FROM checkpoint WHERE id = ANY (:ids::bigint[]);

-- name: links_add
-- Dependents of parents; one that is there already stays.
-- parents, children
INSERT INTO link (parent, child) SELECT * FROM unnest(:parents::bigint[], :children::bigint[]) ON CONFLICT DO NOTHING;

-- name: links_remove
-- Links whose child was told.
-- parents, children
DELETE FROM link USING unnest(:parents::bigint[], :children::bigint[]) AS given (parent, child)
WHERE link.parent = given.parent AND link.child = given.child;

-- name: releases_add
-- Parents that ended and whose dependents are still to be told.
-- ids
INSERT INTO release (parent) SELECT * FROM unnest(:ids::bigint[]) ON CONFLICT DO NOTHING;

-- name: releases_remove
-- Parents whose dependents were all told.
-- ids
DELETE FROM release WHERE parent = ANY (:ids::bigint[]);

-- name: keys_put
-- Idempotency keys, each once; one that is still in force for another task is left, and then changes no row.
-- What has no digest says only that a client sent it: there the latest word counts.
-- tenants, keys, tasks, digests, until_us, now_us
INSERT INTO idempotency (tenant, key, task, digest, until_us)
SELECT * FROM unnest(:tenants::bytea[], :keys::bytea[], :tasks::bigint[], :digests::text[], :until_us::bigint[])
ON CONFLICT (tenant, key) DO UPDATE SET task = excluded.task, digest = excluded.digest, until_us = excluded.until_us
WHERE idempotency.until_us <= :now_us::bigint OR idempotency.task = excluded.task OR idempotency.digest = '';

-- name: facts_put
-- Facts in the order of their changes, NULL for removed, with their log; a fact that comes back goes on counting where its log ends.
-- A statement may touch a row once only, so the versions are counted here: SQLite has triggers for that.
-- components, keys, texts, now_us
WITH given AS (
    SELECT component, key, value, row_number() OVER steps AS step, count(*) OVER (PARTITION BY component, key) AS steps
    FROM unnest(:components::bytea[], :keys::bytea[], :texts::json[]) WITH ORDINALITY AS rows (component, key, value, place)
    WINDOW steps AS (PARTITION BY component, key ORDER BY place)
), known AS (
    SELECT component, key, greatest(
        coalesce((SELECT version FROM fact WHERE fact.component = named.component AND fact.key = named.key), 0),
        coalesce((SELECT max(version) FROM fact_log AS log WHERE log.component = named.component AND log.key = named.key), 0)
    ) AS version
    FROM (SELECT DISTINCT component, key FROM given) AS named
), made AS (
    SELECT component, key, given.value, known.version + given.step AS version, given.steps - given.step AS later
    FROM given JOIN known USING (component, key)
), logged AS (
    INSERT INTO fact_log (component, key, version, value, at_us)
    SELECT component, key, version, value, :now_us::bigint FROM made WHERE later < 64
), trimmed AS (
    DELETE FROM fact_log USING made
    WHERE made.later = 0 AND fact_log.component = made.component AND fact_log.key = made.key AND fact_log.version <= made.version - 64
)
INSERT INTO fact (component, key, value, version, changed_us)
SELECT component, key, value, version, :now_us::bigint FROM made WHERE later = 0
ON CONFLICT (component, key) DO UPDATE SET value = excluded.value, version = excluded.version, changed_us = excluded.changed_us;

-- name: facts_remove
-- Facts that were set to nothing; their log stays.
-- components, keys
DELETE FROM fact USING unnest(:components::bytea[], :keys::bytea[]) AS given (component, key)
WHERE fact.component = given.component AND fact.key = given.key AND fact.value IS NULL;

-- name: definitions_add
-- Definitions by the hash of their content; one that is there is the same.
-- versions, names, created_us, contents
INSERT INTO definition (version, name, created_us, content)
SELECT * FROM unnest(:versions::text[], :names::text[], :created_us::bigint[], :contents::bytea[]) ON CONFLICT DO NOTHING;

-- name: runs_put
-- New runs, or what has become of them; each id once.
-- ids, states, versions, names, tenants, priorities, created_us, ended_us, tries, inputs, outputs, failures
INSERT INTO run (id, state, version, name, tenant, priority, created_us, ended_us, tries, input, output, failure)
SELECT * FROM unnest(
    :ids::bigint[], :states::smallint[], :versions::text[], :names::text[], :tenants::text[], :priorities::bigint[],
    :created_us::bigint[], :ended_us::bigint[], :tries::integer[], :inputs::json[], :outputs::json[], :failures::json[]
)
ON CONFLICT (id) DO UPDATE SET
    state = excluded.state, version = excluded.version, priority = excluded.priority, ended_us = excluded.ended_us,
    tries = excluded.tries, output = excluded.output, failure = excluded.failure;

-- name: steps_remove
-- Steps that are done again.
-- runs, numbers, items
DELETE FROM step USING unnest(:runs::bigint[], :numbers::integer[], :items::integer[]) AS given (run, number, item)
WHERE step.run = given.run AND step.number = given.number AND step.item = given.item;

-- name: steps_put
-- Steps that begin, or what has become of them; each key once.
-- runs, numbers, items, tasks, states, at_us, datas, failures
INSERT INTO step (run, number, item, task, state, at_us, data, failure)
SELECT * FROM unnest(
    :runs::bigint[], :numbers::integer[], :items::integer[], :tasks::bigint[], :states::smallint[], :at_us::bigint[],
    :datas::json[], :failures::json[]
)
ON CONFLICT (run, number, item) DO UPDATE SET
    task = excluded.task, state = excluded.state, at_us = excluded.at_us, data = excluded.data, failure = excluded.failure;

-- name: purge_choose
-- Live tasks in ranges of ids of one slot each, as (id, shard): other slots have ids between them.
-- firsts, lasts, limit
SELECT DISTINCT live.id, live.shard FROM unnest(:firsts::bigint[], :lasts::bigint[]) AS given (first, last)
JOIN live ON live.id BETWEEN given.first AND given.last AND (live.id >> 12) & 1023 = (given.first >> 12) & 1023
ORDER BY live.id LIMIT :limit::bigint;

-- name: payloads_remove
-- Arguments of tasks that are gone.
-- ids
DELETE FROM payload WHERE id = ANY (:ids::bigint[])
    AND id >= (SELECT min(id) FROM unnest(:ids::bigint[]) AS given (id))
    AND id <= (SELECT max(id) FROM unnest(:ids::bigint[]) AS given (id));

-- name: history_remove
-- Older entries of tasks that are gone.
-- ids
DELETE FROM history_part WHERE task = ANY (:ids::bigint[])
    AND task >= (SELECT min(id) FROM unnest(:ids::bigint[]) AS given (id))
    AND task <= (SELECT max(id) FROM unnest(:ids::bigint[]) AS given (id));

-- name: links_remove_child
-- Links to tasks that are gone.
-- ids
DELETE FROM link WHERE child = ANY (:ids::bigint[]);

-- name: links_remove_parent
-- Links from tasks that are gone.
-- ids
DELETE FROM link WHERE parent = ANY (:ids::bigint[]);
