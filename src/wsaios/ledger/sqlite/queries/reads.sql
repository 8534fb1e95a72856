-- What people and gateways ask, each with one row. Tasks and outcomes look as in answers.sql; a batch is
-- [id, state, handler, tenant, created_us, sealed_us, rows, keep, key, ranges, ended, meta].

-- name: task_view
-- One task: live task, outcome, payload (codec, data), result (codec, data), older history as [entries as text, …].
-- id
SELECT
    iif(live.id IS NULL, NULL, json_array(
        live.id, live.shard, live.state, live.fence, live.key, live.due_us, live.expires_us, json(live.body), live.fence
    )),
    iif(outcome.id IS NULL, NULL, json_array(
        outcome.id, outcome.fence, outcome.fence, outcome.state, outcome.shard, outcome.ended_us, outcome.key, outcome.expires_us,
        outcome.codec, coalesce(length(outcome.result), 0), json(outcome.failure), json(outcome.body)
    )),
    payload.codec, payload.data, outcome.codec, outcome.result,
    (SELECT json_group_array(entries) FROM (SELECT entries FROM history_part WHERE task = wanted.id ORDER BY part))
FROM (SELECT :id AS id) AS wanted
LEFT JOIN live ON live.id = wanted.id
LEFT JOIN outcome ON outcome.id = wanted.id
LEFT JOIN payload ON payload.id = wanted.id;

-- name: shards_by_id
-- Shards among ids, as [[id, lane, tenant, handler, batch, concurrency_key, grade], …].
-- ids: [id, …]
SELECT json_group_array(json_array(id, lane, tenant, handler, batch, concurrency_key, grade))
FROM (SELECT * FROM shard WHERE id IN (SELECT value FROM json_each(:ids)) ORDER BY id);

-- name: live_in_state
-- Live tasks in one state that is not "ready", by id, as [task, …]: a few among millions of ready ones have an index of their own.
-- state, after, limit
SELECT json_group_array(json_array(id, shard, state, fence, key, due_us, expires_us, json(body), fence)) FROM (
    SELECT * FROM live INDEXED BY live_by_state WHERE state = :state AND state <> 2 AND id > :after ORDER BY id LIMIT :limit
);

-- name: live_ready_by_id
-- Ready tasks by id, as [task, …].
-- after, limit
SELECT json_group_array(json_array(id, shard, state, fence, key, due_us, expires_us, json(body), fence)) FROM (
    SELECT * FROM live NOT INDEXED WHERE state = 2 AND id > :after ORDER BY id LIMIT :limit
);

-- name: ahead
-- How many ready tasks of shards have a smaller (key, id), up to a limit.
-- shards: [id, …], key, id, limit
SELECT count(*) FROM (
    SELECT 1 FROM json_each(:shards) AS wanted CROSS JOIN live INDEXED BY live_ready
    ON live.state = 2 AND live.shard = wanted.value AND live.key < :key
    UNION ALL
    SELECT 1 FROM json_each(:shards) AS wanted CROSS JOIN live INDEXED BY live_ready
    ON live.state = 2 AND live.shard = wanted.value AND live.key = :key AND live.id < :id
    LIMIT :limit
);

-- name: batch_by_key
-- The latest batch with a key that is not aborted, as [batch] or [].
-- key
SELECT json_group_array(json_array(
    id, state, handler, tenant, created_us, sealed_us, rows, json(iif(keep, 'true', 'false')), key, json(ranges), json(ended), json(meta)
)) FROM (SELECT * FROM batch INDEXED BY batch_by_key WHERE key IS NOT NULL AND key = :key AND state <> 2 ORDER BY id DESC LIMIT 1);

-- name: batch_list
-- Batches, latest first, as [batch, …].
-- limit
SELECT json_group_array(json_array(
    id, state, handler, tenant, created_us, sealed_us, rows, json(iif(keep, 'true', 'false')), key, json(ranges), json(ended), json(meta)
)) FROM (SELECT * FROM batch ORDER BY id DESC LIMIT :limit);

-- name: outcomes_between
-- Outcomes in a range of ids, by id, as [outcome, …], and the bytes of their results in that order.
-- first, last, limit
SELECT
    json_group_array(json_array(id, fence, fence, state, shard, ended_us, key, expires_us, codec, size, json(failure), json(body))),
    CAST(group_concat(result, '') AS BLOB)
FROM (
    SELECT *, coalesce(length(result), 0) AS size FROM outcome WHERE id >= :first AND id <= :last ORDER BY id LIMIT :limit
);

-- name: ends_of
-- The outcomes among these ids, by id, as [outcome, …], the bytes of their results in that order, and their handlers.
-- ids: a JSON array
SELECT
    json_group_array(json_array(id, fence, fence, state, shard, ended_us, key, expires_us, codec, size, json(failure), json(body))),
    CAST(group_concat(result, '') AS BLOB),
    json_group_array(handler)
FROM (
    SELECT outcome.*, shard.handler, coalesce(length(result), 0) AS size
    FROM outcome JOIN shard ON shard.id = outcome.shard
    WHERE outcome.id IN (SELECT value FROM json_each(:ids)) ORDER BY outcome.id
);

-- name: unknown_ids
-- Those of these ids that no task has, as [id, …].
-- ids: a JSON array
SELECT json_group_array(value) FROM (
    SELECT value FROM json_each(:ids)
    WHERE NOT EXISTS (SELECT 1 FROM live WHERE live.id = value) AND NOT EXISTS (SELECT 1 FROM outcome WHERE outcome.id = value)
    ORDER BY key
);

-- name: ended_ids
-- Ids and states of outcomes in a range of ids, by id, as [[id, state], …].
-- first, last, limit
SELECT json_group_array(json_array(id, state)) FROM (
    SELECT id, state FROM outcome WHERE id >= :first AND id <= :last ORDER BY id LIMIT :limit
);

-- name: totals_live
-- Live tasks by state, as [[state, count], …], from the indexes alone.
SELECT json_group_array(json_array(state, tasks)) FROM (
    SELECT 2 AS state, count(*) AS tasks FROM live INDEXED BY live_ready WHERE state = 2
    UNION ALL
    SELECT state, count(*) FROM live INDEXED BY live_by_state WHERE state <> 2 GROUP BY state
) WHERE tasks > 0;

-- name: totals_ended
-- Outcomes by state, as [[state, count], …]; the successful ones are what the index of the others leaves.
WITH others AS (
    SELECT state, count(*) AS tasks FROM outcome INDEXED BY outcome_unsuccessful WHERE state <> 6 GROUP BY state
)
SELECT json_group_array(json_array(state, tasks)) FROM (
    SELECT 6 AS state, (SELECT count(*) FROM outcome) - (SELECT coalesce(sum(tasks), 0) FROM others) AS tasks
    UNION ALL
    SELECT state, tasks FROM others
) WHERE tasks > 0;

-- name: size
-- Bytes of the database without its log.
SELECT page_count * page_size FROM pragma_page_count, pragma_page_size;
