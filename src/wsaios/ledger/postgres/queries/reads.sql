-- What people and gateways ask. Tasks, outcomes and batches look as in answers.sql.

-- name: reads_begin
-- Begin a moment: every statement in it sees the same commits.
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;

-- name: reads_end
-- End it.
COMMIT;

-- name: arguments_and_result
-- Of one task: payload (codec, data), result (codec, data).
-- id
SELECT payload.codec, payload.data, outcome.codec, outcome.result
FROM (SELECT :id::bigint AS id) AS wanted
LEFT JOIN outcome ON outcome.id = wanted.id
LEFT JOIN payload ON payload.id = wanted.id;

-- name: history_of
-- Older history of one task, in its order.
-- id
SELECT entries FROM history_part WHERE task = :id::bigint ORDER BY part;

-- name: shards_by_id
-- Shards among ids, as (id, lane, tenant, handler, batch, concurrency_key, grade).
-- ids
SELECT id, lane, tenant, handler, batch, concurrency_key, grade FROM shard WHERE id = ANY (:ids::bigint[]) ORDER BY id;

-- name: live_in_state
-- Live tasks in one state that is not "ready", by id: a few among millions of ready ones have an index of their own.
-- state, after, limit
SELECT id, shard, state, fence, key, due_us, expires_us, body FROM live
WHERE state = :state::smallint AND state <> 2 AND id > :after::bigint ORDER BY id LIMIT :limit::bigint;

-- name: live_ready_by_id
-- Ready tasks by id.
-- after, limit
SELECT id, shard, state, fence, key, due_us, expires_us, body FROM live
WHERE state = 2 AND id > :after::bigint ORDER BY id LIMIT :limit::bigint;

-- name: ahead
-- Ready tasks of shards that come before one, counted up to a limit.
-- shards, key, id, limit
SELECT count(*) FROM (
    SELECT 1 FROM unnest(:shards::bigint[]) AS wanted (shard)
    JOIN live ON live.state = 2 AND live.shard = wanted.shard AND (live.key, live.id) < (:key::bigint, :id::bigint)
    LIMIT :limit::bigint
) AS found;

-- name: batch_by_key
-- The latest batch with a key that is not aborted, or nothing.
-- key
SELECT id, state, handler, tenant, created_us, sealed_us, rows, keep, key, ranges, ended, meta FROM batch
WHERE key IS NOT NULL AND key = :key::bytea AND state <> 2 ORDER BY id DESC LIMIT 1;

-- name: batch_list
-- Batches, latest first.
-- limit
SELECT id, state, handler, tenant, created_us, sealed_us, rows, keep, key, ranges, ended, meta FROM batch ORDER BY id DESC LIMIT :limit::bigint;

-- name: outcomes_between
-- Outcomes in a range of ids, by id, each with its result last.
-- first, last, limit
SELECT id, fence, state, shard, ended_us, key, expires_us, codec, coalesce(octet_length(result), 0), failure, body, result
FROM outcome WHERE id >= :first::bigint AND id <= :last::bigint ORDER BY id LIMIT :limit::bigint;

-- name: unknown_ids
-- Those of these ids that no task has, in their order.
-- ids
SELECT id FROM unnest(:ids::bigint[]) WITH ORDINALITY AS given (id, place) WHERE NOT is_known(id) ORDER BY place;

-- name: ended_ids
-- Ids and states of outcomes in a range of ids, by id.
-- first, last, limit
SELECT id, state FROM outcome WHERE id >= :first::bigint AND id <= :last::bigint ORDER BY id LIMIT :limit::bigint;

-- name: totals_live
-- Live tasks by state.
SELECT state, count(*) FROM live GROUP BY state ORDER BY state;

-- name: totals_ended
-- Outcomes by state.
SELECT state, count(*) FROM outcome GROUP BY state ORDER BY state;

-- name: ends_of
-- The outcomes of these tasks, each with its result and its handler last.
-- ids
SELECT outcome.id, fence, state, shard, ended_us, key, expires_us, codec, coalesce(octet_length(result), 0), failure, body, result, handler
FROM outcome JOIN shard ON shard.id = outcome.shard WHERE outcome.id = ANY (:ids::bigint[])
    AND outcome.id >= (SELECT min(id) FROM unnest(:ids::bigint[]) AS given (id))
    AND outcome.id <= (SELECT max(id) FROM unnest(:ids::bigint[]) AS given (id));

-- name: size
-- Bytes of the tables with their indexes.
SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::bigint FROM pg_class
WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r';
