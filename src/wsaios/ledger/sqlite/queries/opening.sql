-- What an owner does and reads before its first commit.

-- name: copying_there
-- Whether this is half a copy of another ledger.
SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'copying');

-- name: copying_source
-- What it is half a copy of.
SELECT source FROM copying;

-- name: owner_take
-- Become the owner under a new epoch.
-- slot: 0 for a client, NULL for the next free one; session, host, pid, boot_id, started, who, now_us
UPDATE owner SET
    epoch = epoch + 1, slot = coalesce(:slot, 1 + (epoch + 1) % 1022), session = :session, host = :host, pid = :pid,
    boot_id = :boot_id, started = :started, who = :who, since_us = :now_us, clock_us = max(clock_us, :now_us),
    clean = CASE WHEN :slot = 0 THEN clean ELSE 0 END
RETURNING epoch, slot, id_high, clock_us;

-- name: owner_leave
-- Say that the owner of this epoch stopped in peace; a client leaves what the owner before it said.
-- epoch
UPDATE owner SET clean = 1 WHERE epoch = :epoch AND slot <> 0;

-- name: shards_forget
-- Shards that nobody needs any more; only while no core holds them in memory.
DELETE FROM shard WHERE tasks = 0 AND NOT EXISTS (SELECT 1 FROM batch WHERE batch.id = shard.batch AND batch.unfinished = 1);

-- name: shards_needed
-- Shards with tasks to start or in flight, and those of batches that are not finished, as
-- [[id, lane, tenant, handler, batch, concurrency_key, grade], …]. Of ended tasks there may be a million more.
-- ready: [id, …] as `shards_ready` found them
SELECT json_group_array(json_array(id, lane, tenant, handler, batch, concurrency_key, grade)) FROM (
    SELECT * FROM shard WHERE id IN (
        SELECT value FROM json_each(:ready)
        UNION SELECT shard FROM live INDEXED BY live_by_state WHERE state = 3 AND state <> 2
        UNION SELECT shard.id FROM batch INDEXED BY batch_unfinished JOIN shard ON shard.batch = batch.id
            WHERE batch.unfinished = 1 AND shard.batch <> 0
    ) ORDER BY id
);

-- name: shard_highest
-- The highest number of a shard; 0 when there is none.
SELECT coalesce(max(id), 0) FROM shard;

-- name: shards_ready
-- Shards with tasks to start, as [id, …]: one step in the index for each shard, however many tasks wait.
WITH RECURSIVE step (shard) AS (
    SELECT min(shard) FROM live INDEXED BY live_ready WHERE state = 2
    UNION ALL
    SELECT (SELECT min(live.shard) FROM live INDEXED BY live_ready WHERE live.state = 2 AND live.shard > step.shard)
    FROM step WHERE step.shard IS NOT NULL
)
SELECT json_group_array(shard) FROM step WHERE shard IS NOT NULL;

-- name: batches_unfinished
-- Batches that are staged or have rows that did not end, as [batch, …].
SELECT json_group_array(json_array(
    id, state, handler, tenant, created_us, sealed_us, rows, json(iif(keep, 'true', 'false')), key, json(ranges), json(ended), json(meta)
)) FROM (SELECT * FROM batch INDEXED BY batch_unfinished WHERE unfinished = 1 ORDER BY id);

-- name: tasks_running
-- Tasks that were in flight, as [task, …].
SELECT json_group_array(json_array(id, shard, state, fence, key, due_us, expires_us, json(body), fence)) FROM (
    SELECT * FROM live INDEXED BY live_by_state WHERE state = 3 AND state <> 2 ORDER BY id
);

-- name: releases_all
-- Parents whose dependents are still to be told, as [id, …].
SELECT json_group_array(parent) FROM (SELECT parent FROM release ORDER BY parent);

-- name: runs_unfinished
-- Runs that have not ended, as [run, …].
SELECT json_group_array(json_array(
    id, state, version, name, tenant, priority, created_us, ended_us, tries, input, output, json(failure)
)) FROM (SELECT * FROM run INDEXED BY run_unfinished WHERE state < 6 ORDER BY id);

-- name: facts_all
-- Every fact, as [[component, key, value as JSON text], …].
SELECT json_group_array(json_array(component, key, value)) FROM (SELECT * FROM fact ORDER BY component, key);
