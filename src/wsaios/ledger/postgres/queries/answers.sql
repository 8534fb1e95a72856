-- Where tables have partitions by day, an array of ids comes with its ends: by these alone are partitions left out.
-- A task is (id, shard, state, fence, key, due_us, expires_us, body), as postgres/records.py reads it; an outcome is
-- (id, fence, state, shard, ended_us, key, expires_us, codec, size, failure, body); a batch is
-- (id, state, handler, tenant, created_us, sealed_us, rows, keep, key, ranges, ended, meta).

-- name: ready_after
-- Ready tasks of a shard in their order.
-- shard, key, id, limit
SELECT id, shard, state, fence, key, due_us, expires_us, body FROM live
WHERE state = 2 AND shard = :shard::bigint AND (key, id) > (:key::bigint, :id::bigint) ORDER BY key, id LIMIT :limit::bigint;

-- name: due_after
-- Tasks that wait for a time, in its order.
-- due_us, id, limit
SELECT id, shard, state, fence, key, due_us, expires_us, body FROM live
WHERE due_us IS NOT NULL AND state IN (1, 4) AND (due_us, id) > (:due_us::bigint, :id::bigint) ORDER BY due_us, id LIMIT :limit::bigint;

-- name: expiring_after
-- Tasks that do not run and will expire, in the order of that.
-- expires_us, id, limit
SELECT id, shard, state, fence, key, due_us, expires_us, body FROM live
WHERE expires_us IS NOT NULL AND state <> 3 AND (expires_us, id) > (:expires_us::bigint, :id::bigint)
ORDER BY expires_us, id LIMIT :limit::bigint;

-- name: tasks_by_id
-- The live tasks among ids, by id.
-- ids
SELECT id, shard, state, fence, key, due_us, expires_us, body FROM live WHERE id = ANY (:ids::bigint[]) ORDER BY id;

-- name: outcomes_by_id
-- The outcomes among ids, by id.
-- ids
SELECT id, fence, state, shard, ended_us, key, expires_us, codec, coalesce(octet_length(result), 0), failure, body FROM outcome
WHERE id = ANY (:ids::bigint[])
    AND id >= (SELECT min(id) FROM unnest(:ids::bigint[]) AS given (id))
    AND id <= (SELECT max(id) FROM unnest(:ids::bigint[]) AS given (id))
ORDER BY id;

-- name: live_after
-- Live tasks in a range of ids, by id.
-- after, upto, limit
SELECT id, shard, state, fence, key, due_us, expires_us, body FROM live
WHERE id > :after::bigint AND id <= :upto::bigint ORDER BY id LIMIT :limit::bigint;

-- name: ended_after
-- Outcomes in a range of ids in one of the states, by id.
-- after, upto, states, limit
SELECT id, fence, state, shard, ended_us, key, expires_us, codec, coalesce(octet_length(result), 0), failure, body
FROM outcome WHERE id > :after::bigint AND id <= :upto::bigint AND state = ANY (:states::smallint[]) ORDER BY id LIMIT :limit::bigint;

-- name: unsuccessful_after
-- The same when no state is "succeeded": a few failed rows among millions are found by their own index.
-- after, upto, states, limit
SELECT id, fence, state, shard, ended_us, key, expires_us, codec, coalesce(octet_length(result), 0), failure, body
FROM outcome
WHERE state <> 6 AND id > :after::bigint AND id <= :upto::bigint AND state = ANY (:states::smallint[]) ORDER BY id LIMIT :limit::bigint;

-- name: links_of
-- Links from a parent, by child, as (parent, child).
-- parent, limit
SELECT parent, child FROM link WHERE parent = :parent::bigint ORDER BY child LIMIT :limit::bigint;

-- name: links_of_many
-- Links from several parents, by parent and child, as (parent, child).
-- parents, limit
SELECT parent, child FROM link WHERE parent = ANY (:parents::bigint[]) ORDER BY parent, child LIMIT :limit::bigint;

-- name: keys_of
-- Idempotency keys that are not over, in the order asked for, as (tenant, key, task, digest, until_us).
-- tenants, keys, now_us
SELECT row.tenant, row.key, row.task, row.digest, row.until_us
FROM unnest(:tenants::bytea[], :keys::bytea[]) WITH ORDINALITY AS pair (tenant, key, place)
JOIN idempotency AS row ON row.tenant = pair.tenant AND row.key = pair.key
WHERE row.until_us > :now_us::bigint ORDER BY pair.place;

-- name: batch_by_id
-- One batch, or nothing.
-- id
SELECT id, state, handler, tenant, created_us, sealed_us, rows, keep, key, ranges, ended, meta FROM batch WHERE id = :id::bigint;

-- name: payloads_of
-- Arguments of tasks, as (id, codec, data), in any order.
-- ids
SELECT id, codec, data FROM payload
WHERE id = ANY (:ids::bigint[])
    AND id >= (SELECT min(id) FROM unnest(:ids::bigint[]) AS given (id))
    AND id <= (SELECT max(id) FROM unnest(:ids::bigint[]) AS given (id));

-- name: checkpoints_of
-- Checkpoints of tasks, as (id, codec, data).
-- ids
SELECT id, codec, data FROM checkpoint WHERE id = ANY (:ids::bigint[]) ORDER BY id;

-- name: runs_by_id
-- The runs among ids, by id, as (id, state, version, name, tenant, priority, created_us, ended_us, tries, input, output, failure).
-- ids
SELECT id, state, version, name, tenant, priority, created_us, ended_us, tries, input, output, failure FROM run
WHERE id = ANY (:ids::bigint[]) AND NOT going ORDER BY id;

-- name: runs_before
-- Runs below an id in one of the states (none: any), latest first, as in runs_by_id.
-- before, states, limit
SELECT id, state, version, name, tenant, priority, created_us, ended_us, tries, input, output, failure FROM run
WHERE id < :before::bigint AND NOT going AND (cardinality(:states::smallint[]) = 0 OR state = ANY (:states::smallint[]))
ORDER BY id DESC LIMIT :limit::bigint;

-- name: steps_of
-- Rows of the steps of a run after a place, as (run, number, item, task, state, at_us, data, failure).
-- run, number, item, limit
SELECT run, number, item, task, state, at_us, data, failure FROM step
WHERE run = :run::bigint AND (number, item) > (:number::integer, :item::integer) ORDER BY number, item LIMIT :limit::bigint;

-- name: ends_of_steps
-- How tasks ended, as (id, state, size of the result).
-- ids
SELECT id, state, coalesce(octet_length(result), 0) FROM outcome
WHERE id = ANY (:ids::bigint[])
    AND id >= (SELECT min(id) FROM unnest(:ids::bigint[]) AS given (id))
    AND id <= (SELECT max(id) FROM unnest(:ids::bigint[]) AS given (id));

-- name: results_of
-- Results of tasks that succeeded, as (id, codec, result).
-- ids
SELECT id, codec, result FROM outcome
WHERE id = ANY (:ids::bigint[]) AND state = 6 AND result IS NOT NULL
    AND id >= (SELECT min(id) FROM unnest(:ids::bigint[]) AS given (id))
    AND id <= (SELECT max(id) FROM unnest(:ids::bigint[]) AS given (id));

-- name: definition_of
-- One definition, as (version, name, created_us, content).
-- version
SELECT version, name, created_us, content FROM definition WHERE version = :version::text;

-- name: fact_of
-- The value of one fact, as JSON text.
-- component, key
SELECT value FROM fact WHERE component = :component::bytea AND key = :key::bytea AND value IS NOT NULL;
