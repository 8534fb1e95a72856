-- Each answer comes as one row, so that the thread that asks returns to Python once. A task is
-- [id, shard, state, fence, key, due_us, expires_us, body, stored_fence], as kernel/task.py reads it; an outcome is
-- [id, stored_fence, fence, state, shard, ended_us, key, expires_us, codec, size, failure, body];
-- a batch is [id, state, handler, tenant, created_us, sealed_us, rows, keep, key, ranges, ended, meta].

-- What comes after a place in an order of (key, id) is asked in two parts, the rest of the same key and the larger keys: of a
-- comparison of pairs SQLite 3.54 looks up only the first column, and a million rows may have the same key.

-- name: ready_after
-- Ready tasks of a shard in their order, as [task, …].
-- shard, key, id, limit
SELECT json_group_array(json_array(id, shard, state, fence, key, due_us, expires_us, json(body), fence)) FROM (
    SELECT * FROM (
        SELECT * FROM live INDEXED BY live_ready
        WHERE state = 2 AND shard = :shard AND key = :key AND id > :id ORDER BY id LIMIT :limit
    )
    UNION ALL
    SELECT * FROM (
        SELECT * FROM live INDEXED BY live_ready
        WHERE state = 2 AND shard = :shard AND key > :key ORDER BY key, id LIMIT :limit
    )
    LIMIT :limit
);

-- name: due_after
-- Tasks that wait for a time, in its order, as [task, …].
-- due_us, id, limit
SELECT json_group_array(json_array(id, shard, state, fence, key, due_us, expires_us, json(body), fence)) FROM (
    SELECT * FROM (
        SELECT * FROM live INDEXED BY live_due
        WHERE due_us IS NOT NULL AND state IN (1, 4) AND due_us = :due_us AND id > :id ORDER BY id LIMIT :limit
    )
    UNION ALL
    SELECT * FROM (
        SELECT * FROM live INDEXED BY live_due
        WHERE due_us IS NOT NULL AND state IN (1, 4) AND due_us > :due_us ORDER BY due_us, id LIMIT :limit
    )
    LIMIT :limit
);

-- name: expiring_after
-- Tasks that do not run and will expire, in the order of that, as [task, …].
-- expires_us, id, limit
SELECT json_group_array(json_array(id, shard, state, fence, key, due_us, expires_us, json(body), fence)) FROM (
    SELECT * FROM (
        SELECT * FROM live INDEXED BY live_expiring
        WHERE expires_us IS NOT NULL AND state <> 3 AND expires_us = :expires_us AND id > :id ORDER BY id LIMIT :limit
    )
    UNION ALL
    SELECT * FROM (
        SELECT * FROM live INDEXED BY live_expiring
        WHERE expires_us IS NOT NULL AND state <> 3 AND expires_us > :expires_us ORDER BY expires_us, id LIMIT :limit
    )
    LIMIT :limit
);

-- name: tasks_by_id
-- The live tasks among ids, by id, as [task, …].
-- ids: [id, …]
SELECT json_group_array(json_array(id, shard, state, fence, key, due_us, expires_us, json(body), fence)) FROM (
    SELECT * FROM live WHERE id IN (SELECT value FROM json_each(:ids)) ORDER BY id
);

-- name: outcomes_by_id
-- The outcomes among ids, by id, as [outcome, …].
-- ids: [id, …]
SELECT json_group_array(
    json_array(id, fence, fence, state, shard, ended_us, key, expires_us, codec, size, json(failure), json(body))
) FROM (
    SELECT id, fence, state, shard, ended_us, key, expires_us, codec, coalesce(length(result), 0) AS size, failure, body
    FROM outcome WHERE id IN (SELECT value FROM json_each(:ids)) ORDER BY id
);

-- name: live_after
-- Live tasks in a range of ids, by id, as [task, …].
-- after, upto, limit
SELECT json_group_array(json_array(id, shard, state, fence, key, due_us, expires_us, json(body), fence)) FROM (
    SELECT * FROM live WHERE id > :after AND id <= :upto ORDER BY id LIMIT :limit
);

-- name: ended_after
-- Outcomes in a range of ids in one of the states, by id, as [outcome, …].
-- after, upto, states: [state, …], limit
SELECT json_group_array(
    json_array(id, fence, fence, state, shard, ended_us, key, expires_us, codec, size, json(failure), json(body))
) FROM (
    SELECT id, fence, state, shard, ended_us, key, expires_us, codec, coalesce(length(result), 0) AS size, failure, body
    FROM outcome WHERE id > :after AND id <= :upto AND state IN (SELECT value FROM json_each(:states)) ORDER BY id LIMIT :limit
);

-- name: unsuccessful_after
-- The same when no state is "succeeded": a few failed rows among millions are found by their own index.
-- after, upto, states: [state, …], limit
SELECT json_group_array(
    json_array(id, fence, fence, state, shard, ended_us, key, expires_us, codec, size, json(failure), json(body))
) FROM (
    SELECT id, fence, state, shard, ended_us, key, expires_us, codec, coalesce(length(result), 0) AS size, failure, body
    FROM outcome INDEXED BY outcome_unsuccessful
    WHERE state <> 6 AND id > :after AND id <= :upto AND state IN (SELECT value FROM json_each(:states)) ORDER BY id LIMIT :limit
);

-- name: links_of
-- Links from a parent, by child, as [[parent, child], …].
-- parent, limit
SELECT json_group_array(json_array(parent, child)) FROM (
    SELECT parent, child FROM link WHERE parent = :parent ORDER BY child LIMIT :limit
);

-- name: links_of_many
-- Links from several parents, by parent and child, as [[parent, child], …].
-- parents: [id, …]; limit
SELECT json_group_array(json_array(parent, child)) FROM (
    SELECT parent, child FROM link WHERE parent IN (SELECT value FROM json_each(:parents)) ORDER BY parent, child LIMIT :limit
);

-- name: keys_of
-- Idempotency keys that are not over, in the order asked for, as [[tenant, key, task, digest, until_us], …].
-- pairs: [[tenant, key], …]; now_us
SELECT json_group_array(json_array(tenant, key, task, digest, until_us)) FROM (
    SELECT row.tenant, row.key, row.task, row.digest, row.until_us
    FROM jsonb_each(:pairs) AS pair CROSS JOIN idempotency AS row
    ON row.tenant = pair.value ->> 0 AND row.key = pair.value ->> 1
    WHERE row.until_us > :now_us ORDER BY pair.key
);

-- name: batch_by_id
-- One batch, as [batch] or [].
-- id
SELECT json_group_array(json_array(
    id, state, handler, tenant, created_us, sealed_us, rows, json(iif(keep, 'true', 'false')), key, json(ranges), json(ended), json(meta)
)) FROM batch WHERE id = :id;

-- name: payloads_of
-- Arguments of tasks: [[id, codec, length], …], and all their bytes in that order.
-- ids: [id, …]
SELECT json_group_array(json_array(id, codec, length(data))), CAST(group_concat(data, '') AS BLOB) FROM (
    SELECT * FROM payload WHERE id IN (SELECT value FROM json_each(:ids)) ORDER BY id
);

-- name: checkpoints_of
-- Checkpoints of tasks: [[id, codec, length], …], and all their bytes in that order.
-- ids: [id, …]
SELECT json_group_array(json_array(id, codec, length(data))), CAST(group_concat(data, '') AS BLOB) FROM (
    SELECT * FROM checkpoint WHERE id IN (SELECT value FROM json_each(:ids)) ORDER BY id
);

-- name: runs_by_id
-- The runs among ids, by id, as [run, …]; a run is [id, state, version, name, tenant, priority, created_us, ended_us, tries, input,
-- output, failure] with input and output as text.
-- ids: [id, …]
SELECT json_group_array(json_array(
    id, state, version, name, tenant, priority, created_us, ended_us, tries, input, output, json(failure)
)) FROM (SELECT * FROM run WHERE id IN (SELECT value FROM json_each(:ids)) AND going = 0 ORDER BY id);

-- name: runs_before
-- Runs below an id in one of the states (none: any), latest first, as [run, …].
-- before, states: [state, …], limit
SELECT json_group_array(json_array(
    id, state, version, name, tenant, priority, created_us, ended_us, tries, input, output, json(failure)
)) FROM (
    SELECT * FROM run
    WHERE id < :before AND going = 0 AND (:states = '[]' OR state IN (SELECT value FROM json_each(:states)))
    ORDER BY id DESC LIMIT :limit
);

-- name: steps_of
-- Rows of the steps of a run after a place, as [[run, number, item, task, state, at_us, data, failure, ended, size], …].
-- run, number, item, limit
SELECT json_group_array(json_array(
    run, number, item, task, state, at_us, data, json(failure), ended, size
)) FROM (
    SELECT
        step.run, step.number, step.item, step.task, step.state, step.at_us, step.data, step.failure,
        coalesce(outcome.state, 0) AS ended, coalesce(length(outcome.result), 0) AS size
    FROM step LEFT JOIN outcome ON outcome.id = step.task
    WHERE step.run = :run AND (step.number, step.item) > (:number, :item)
    ORDER BY step.number, step.item LIMIT :limit
);

-- name: results_of
-- Results of tasks that succeeded: [[id, codec, length], …], and all their bytes in that order.
-- ids: [id, …]
SELECT json_group_array(json_array(id, codec, length(result))), CAST(group_concat(result, '') AS BLOB) FROM (
    SELECT id, codec, result FROM outcome
    WHERE id IN (SELECT value FROM json_each(:ids)) AND state = 6 AND result IS NOT NULL ORDER BY id
);

-- name: definition_of
-- One definition: version, name, created_us, content.
-- version
SELECT version, name, created_us, content FROM definition WHERE version = :version;

-- name: fact_of
-- The value of one fact, as JSON text.
-- component, key
SELECT value FROM fact WHERE component = :component AND key = :key AND value IS NOT NULL;
