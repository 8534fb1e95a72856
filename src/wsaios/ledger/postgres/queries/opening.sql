-- What an owner does and reads before its first commit.
-- The lock is an advisory one with two numbers: 1465073993 ("WSAI" as in the header of SQLite files) and the hash of the schema.

-- name: lock_take
-- The lock of the owner, held by this session until it ends; false: another session has it.
-- schema
SELECT pg_try_advisory_lock(1465073993, hashtext(:schema::text));

-- name: lock_holder
-- The session that holds the lock of the owner, as the process that serves it; nothing when nobody does.
-- schema
SELECT pid FROM pg_locks
WHERE locktype = 'advisory' AND granted AND objsubid = 2 AND classid = 1465073993
    AND objid = (hashtext(:schema::text)::bigint & 4294967295)::oid
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database());

-- name: lock_break
-- End the session of an owner whose lease is over, or who is gone; its lock goes with it.
-- pid
SELECT pg_terminate_backend(:pid::integer);

-- name: lock_release
-- Give the lock of the owner back.
-- schema
SELECT pg_advisory_unlock(1465073993, hashtext(:schema::text));

-- name: schema_there
-- Whether the schema exists.
-- schema
SELECT EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = :schema::text);

-- name: schema_make
-- Make the schema that this session looks into.
DO $$ BEGIN EXECUTE format('CREATE SCHEMA %I', btrim(current_setting('search_path'), '"')); END $$;

-- name: tables_there
-- Whether a table of ours is in the schema, and whether any table is.
-- schema
SELECT coalesce(bool_or(relname = 'migration'), false), count(*) > 0
FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace WHERE nspname = :schema::text AND relkind IN ('r', 'p');

-- name: schema_version
-- The migrations that were applied.
SELECT coalesce(max(version), 0) FROM migration;

-- name: schema_advanced
-- Note a migration that was applied.
-- version
INSERT INTO migration (version) VALUES (:version::integer);

-- name: owner_now
-- The owner's row, and how long its lease still is by the clock of this database, in µs; below 0 it is over, NULL: it left.
SELECT
    epoch, session, kind, host, pid, boot_id, started, who, since_us,
    lease_until_us - (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS left_us
FROM owner;

-- name: copying_there
-- Whether this is half a copy of another ledger.
SELECT to_regclass('copying') IS NOT NULL;

-- name: copying_source
-- What it is half a copy of.
SELECT source FROM copying;

-- name: owner_take
-- Become the owner under a new epoch.
-- slot: 0 for a client, NULL for the next free one; session, kind, host, pid, boot_id, started, who, now_us, lease_us
UPDATE owner SET
    epoch = epoch + 1, slot = coalesce(:slot::integer, 1 + ((epoch + 1) % 1022)::integer), session = :session::text, kind = :kind::text,
    host = :host::text, pid = :pid::bigint, boot_id = :boot_id::text, started = :started::text, who = :who::text,
    since_us = :now_us::bigint, clock_us = greatest(clock_us, :now_us::bigint),
    lease_until_us = (extract(epoch FROM clock_timestamp()) * 1000000)::bigint + :lease_us::bigint,
    clean = CASE WHEN :slot::integer = 0 THEN clean ELSE false END
RETURNING epoch, slot, id_high, clock_us;

-- name: days_known
-- The days that have partitions, oldest first.
SELECT to_date(right(relname, 8), 'YYYYMMDD') - DATE '2020-01-01' FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
WHERE inhparent = 'outcome'::regclass AND relname ~ '^outcome_[0-9]{8}$' ORDER BY 1;

-- name: day_make
-- Make the partitions of a day since 2020-01-01; false: not now.
-- day
SELECT day_make(:day::integer);

-- name: owner_leave
-- Say that the owner of this epoch stopped in peace; a client leaves what the owner before it said.
-- epoch
UPDATE owner SET clean = clean OR slot <> 0, lease_until_us = NULL WHERE epoch = :epoch::bigint;

-- name: shards_forget
-- Shards that nobody needs any more; only while no core holds them in memory.
DELETE FROM shard WHERE tasks = 0 AND NOT EXISTS (SELECT 1 FROM batch WHERE batch.id = shard.batch AND batch.unfinished);

-- name: shards_needed
-- Shards with tasks to start or in flight, and those of batches that are not finished, as
-- (id, lane, tenant, handler, batch, concurrency_key, grade). Of ended tasks there may be a million more.
-- ready: as `shards_ready` found them
SELECT id, lane, tenant, handler, batch, concurrency_key, grade FROM shard WHERE id IN (
    SELECT unnest(:ready::bigint[])
    UNION SELECT shard FROM live WHERE state = 3 AND state <> 2
    UNION SELECT shard.id FROM batch JOIN shard ON shard.batch = batch.id WHERE batch.unfinished AND shard.batch <> 0
) ORDER BY id;

-- name: shard_highest
-- The highest number of a shard; 0 when there is none.
SELECT coalesce(max(id), 0) FROM shard;

-- name: shards_ready
-- Shards with tasks to start: one step in the index for each shard, however many tasks wait.
WITH RECURSIVE step (shard) AS (
    (SELECT shard FROM live WHERE state = 2 ORDER BY shard LIMIT 1)
    UNION ALL
    SELECT (SELECT live.shard FROM live WHERE live.state = 2 AND live.shard > step.shard ORDER BY live.shard LIMIT 1)
    FROM step WHERE step.shard IS NOT NULL
)
SELECT shard FROM step WHERE shard IS NOT NULL;

-- name: batches_unfinished
-- Batches that are staged or have rows that did not end.
SELECT id, state, handler, tenant, created_us, sealed_us, rows, keep, key, ranges, ended, meta FROM batch WHERE unfinished ORDER BY id;

-- name: tasks_running
-- Tasks that were in flight.
SELECT id, shard, state, fence, key, due_us, expires_us, body FROM live WHERE state = 3 AND state <> 2 ORDER BY id;

-- name: releases_all
-- Parents whose dependents are still to be told.
SELECT parent FROM release ORDER BY parent;

-- name: runs_unfinished
-- Runs that have not ended, as in runs_by_id.
SELECT id, state, version, name, tenant, priority, created_us, ended_us, tries, input, output, failure FROM run
WHERE state < 6 ORDER BY id;

-- name: facts_all
-- Every fact, as (component, key, value).
SELECT component, key, value FROM fact ORDER BY component, key;
