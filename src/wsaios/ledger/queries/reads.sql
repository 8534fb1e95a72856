-- What people and gateways ask, each with one row.

-- name: task_view
-- One task: shard, live task, outcome, payload (codec, data), result (codec, data), older history as [entries as text, …].
-- id
SELECT
    (SELECT json_array(shard.id, lane, tenant, handler, batch, concurrency_key) FROM shard
     WHERE shard.id = coalesce(live.shard, outcome.shard)),
    iif(live.id IS NULL, NULL, json_array(
        live.id, live.shard, live.state, live.fence, live.key, live.due_us, live.expires_us, json(live.body), live.fence)),
    iif(outcome.id IS NULL, NULL, json_array(
        outcome.id, outcome.fence, outcome.fence, outcome.state, outcome.shard, outcome.ended_us, outcome.key, outcome.expires_us,
        outcome.codec, coalesce(length(outcome.result), 0), json(outcome.failure), json(outcome.body))),
    payload.codec, payload.data, outcome.codec, outcome.result,
    (SELECT json_group_array(entries) FROM (SELECT entries FROM history_part WHERE task = wanted.id ORDER BY part))
FROM (SELECT :id AS id) AS wanted
LEFT JOIN live ON live.id = wanted.id
LEFT JOIN outcome ON outcome.id = wanted.id
LEFT JOIN payload ON payload.id = wanted.id;

-- name: live_list
-- Live tasks of any state by id, as [[shard, task], …].
-- after, limit
SELECT json_group_array(json_array(
    json_array(shard.id, lane, tenant, handler, batch, concurrency_key),
    json_array(task.id, task.shard, task.state, task.fence, task.key, task.due_us, task.expires_us, json(task.body), task.fence)
)) FROM (SELECT * FROM live WHERE id > :after ORDER BY id LIMIT :limit) AS task
JOIN shard ON shard.id = task.shard;

-- name: live_list_ready
-- The same for states of which one is "ready".
-- after, states: [state, …], limit
SELECT json_group_array(json_array(
    json_array(shard.id, lane, tenant, handler, batch, concurrency_key),
    json_array(task.id, task.shard, task.state, task.fence, task.key, task.due_us, task.expires_us, json(task.body), task.fence)
)) FROM (
    SELECT * FROM live WHERE id > :after AND state IN (SELECT value FROM json_each(:states)) ORDER BY id LIMIT :limit
) AS task
JOIN shard ON shard.id = task.shard;

-- name: live_list_state
-- The same for one state that is not "ready": a few running tasks among millions of waiting ones are found by their own index.
-- after, state, limit
SELECT json_group_array(json_array(
    json_array(shard.id, lane, tenant, handler, batch, concurrency_key),
    json_array(task.id, task.shard, task.state, task.fence, task.key, task.due_us, task.expires_us, json(task.body), task.fence)
)) FROM (
    SELECT * FROM live INDEXED BY live_by_state WHERE state = :state AND state <> 2 AND id > :after ORDER BY id LIMIT :limit
) AS task
JOIN shard ON shard.id = task.shard;
