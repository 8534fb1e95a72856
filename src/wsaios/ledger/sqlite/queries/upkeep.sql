-- Removing what nobody needs any more, and looking for contradictions.

-- name: prune_choose
-- Outcomes that ended before a time and may go, as [[id, shard, ended_us], …] in the order of their end. Rows of a batch that is
-- kept or not finished stay, and so does a parent whose dependents are still to be told.
-- from_us, before_us, limit
SELECT json_group_array(json_array(id, shard, ended_us)) FROM (
    SELECT id, shard, ended_us FROM outcome INDEXED BY outcome_by_end
    WHERE ended_us >= :from_us AND ended_us < :before_us
    AND shard NOT IN (SELECT shard.id FROM batch JOIN shard ON shard.batch = batch.id WHERE batch.keep = 1 OR batch.unfinished = 1)
    AND id NOT IN (SELECT parent FROM release)
    AND NOT EXISTS (SELECT 1 FROM step WHERE step.task = outcome.id AND step.task <> 0)
    ORDER BY ended_us, id LIMIT :limit
);

-- name: runs_going
-- Mark runs that ended before a time: from now on nobody finds them.
-- before_us, limit
UPDATE run SET going = 1 WHERE id IN (
    SELECT id FROM run INDEXED BY run_by_end WHERE state >= 6 AND going = 0 AND ended_us < :before_us ORDER BY ended_us, id LIMIT :limit
);

-- name: steps_forget
-- Steps of runs that go.
-- limit
DELETE FROM step WHERE (run, number, item) IN (
    SELECT step.run, step.number, step.item FROM run INDEXED BY run_going CROSS JOIN step ON step.run = run.id WHERE run.going = 1 LIMIT :limit
);

-- name: runs_forget
-- Runs that go and have no steps any more.
DELETE FROM run WHERE id IN (
    SELECT id FROM run INDEXED BY run_going WHERE going = 1 AND NOT EXISTS (SELECT 1 FROM step WHERE step.run = run.id)
);

-- name: definitions_forget
-- Definitions of no run, unless their workflow was published.
DELETE FROM definition WHERE NOT EXISTS (SELECT 1 FROM run WHERE run.version = definition.version)
    AND NOT EXISTS (SELECT 1 FROM fact WHERE fact.component = 'workflow' AND fact.key = definition.name);

-- name: outcomes_remove
-- Outcomes that are pruned.
-- ids: [id, …]
DELETE FROM outcome WHERE id IN (SELECT value FROM json_each(:ids));

-- name: batches_forget
-- Finished batches older than a time of which no task is left.
-- before_us
DELETE FROM batch WHERE unfinished = 0 AND keep = 0 AND created_us < :before_us
AND NOT EXISTS (SELECT 1 FROM shard WHERE shard.batch = batch.id AND shard.batch <> 0 AND shard.tasks > 0);

-- name: shards_forget_unused
-- Shards without tasks that no core holds in memory.
-- held: [id, …], limit
DELETE FROM shard WHERE id IN (
    SELECT id FROM shard INDEXED BY shard_unused WHERE tasks = 0 AND id NOT IN (SELECT value FROM json_each(:held))
    AND NOT EXISTS (SELECT 1 FROM batch WHERE batch.id = shard.batch AND batch.unfinished = 1) ORDER BY id LIMIT :limit
);

-- name: shards_forget_batches
-- Shards of batches that are no more, whoever holds them in memory.
DELETE FROM shard WHERE tasks = 0 AND batch <> 0 AND NOT EXISTS (SELECT 1 FROM batch WHERE batch.id = shard.batch);

-- name: keys_forget
-- Idempotency keys that are over.
-- now_us, limit
DELETE FROM idempotency WHERE (tenant, key) IN (
    SELECT tenant, key FROM idempotency INDEXED BY idempotency_by_end WHERE until_us <= :now_us ORDER BY until_us, tenant, key LIMIT :limit
);

-- name: clock_of
-- The latest time that the ledger has seen.
SELECT clock_us FROM owner;

-- name: fact_log_forget
-- Old values of facts.
-- before_us, limit
DELETE FROM fact_log WHERE (component, key, version) IN (
    SELECT component, key, version FROM fact_log INDEXED BY fact_log_by_time WHERE at_us < :before_us ORDER BY at_us LIMIT :limit
);

-- name: check_pages
-- What SQLite itself finds wrong, a line each; one line "ok" when nothing is.
SELECT integrity_check FROM pragma_integrity_check;

-- name: check_both
-- Tasks that are live and ended at once.
SELECT count(*) FROM live JOIN outcome ON outcome.id = live.id;

-- name: check_shards
-- Tasks of a shard that does not exist.
SELECT (SELECT count(*) FROM live WHERE shard NOT IN (SELECT id FROM shard))
    + (SELECT count(*) FROM outcome WHERE shard NOT IN (SELECT id FROM shard));

-- name: check_counts
-- Shards that count their tasks wrongly.
WITH held AS (
    SELECT shard, sum(tasks) AS tasks FROM (
        SELECT shard, count(*) AS tasks FROM live GROUP BY shard
        UNION ALL
        SELECT shard, count(*) FROM outcome GROUP BY shard
    ) GROUP BY shard
)
SELECT count(*) FROM shard LEFT JOIN held ON held.shard = shard.id WHERE shard.tasks <> coalesce(held.tasks, 0);

-- name: check_arguments
-- Live tasks without arguments.
SELECT count(*) FROM live WHERE id NOT IN (SELECT id FROM payload);

-- name: check_orphans
-- Arguments, checkpoints and histories of tasks that do not exist.
SELECT
    (SELECT count(*) FROM payload WHERE NOT EXISTS (SELECT 1 FROM live WHERE live.id = payload.id)
        AND NOT EXISTS (SELECT 1 FROM outcome WHERE outcome.id = payload.id))
    + (SELECT count(*) FROM history_part WHERE NOT EXISTS (SELECT 1 FROM live WHERE live.id = task)
        AND NOT EXISTS (SELECT 1 FROM outcome WHERE outcome.id = task))
    + (SELECT count(*) FROM checkpoint WHERE NOT EXISTS (SELECT 1 FROM live WHERE live.id = checkpoint.id));

-- name: check_releases
-- Parents to be released that did not end.
SELECT count(*) FROM release WHERE parent NOT IN (SELECT id FROM outcome);

-- name: check_links
-- Dependencies on tasks that do not exist.
SELECT count(*) FROM link WHERE NOT EXISTS (SELECT 1 FROM live WHERE live.id = parent)
    AND NOT EXISTS (SELECT 1 FROM outcome WHERE outcome.id = parent);

-- name: check_steps
-- Steps of a run that does not exist, or whose task does not.
SELECT count(*) FROM step WHERE NOT EXISTS (SELECT 1 FROM run WHERE run.id = step.run)
    OR (task <> 0 AND NOT EXISTS (SELECT 1 FROM live WHERE live.id = task)
        AND NOT EXISTS (SELECT 1 FROM outcome WHERE outcome.id = task));

-- name: check_runs
-- Runs without their definition, and ended ones of which a task still lives.
SELECT (SELECT count(*) FROM run WHERE NOT EXISTS (SELECT 1 FROM definition WHERE definition.version = run.version))
    + (SELECT count(DISTINCT run.id) FROM run JOIN step ON step.run = run.id JOIN live ON live.id = step.task WHERE run.state >= 6);

-- name: check_ids
-- Tasks, batches and runs with an id above the highest one recorded: a new one could get the same id.
SELECT count(*) FROM (
    SELECT max(id) AS id FROM live UNION ALL SELECT max(id) FROM outcome UNION ALL SELECT max(id) FROM batch
    UNION ALL SELECT max(id) FROM run
)
WHERE id > (SELECT id_high FROM owner);

-- name: check_batches
-- Batches that count their ended rows wrongly; of finished ones that are not kept, rows may be pruned.
WITH counted AS (
    SELECT shard.batch, outcome.state, count(*) AS rows
    FROM outcome JOIN shard ON shard.id = outcome.shard WHERE shard.batch <> 0 GROUP BY shard.batch, outcome.state
), said AS (
    SELECT batch.id AS batch, CAST(ended.key AS INTEGER) AS state, ended.value AS rows
    FROM batch, json_each(batch.ended) AS ended WHERE ended.value <> 0
), judged AS (
    SELECT id FROM batch WHERE keep = 1 OR unfinished = 1
)
SELECT count(*) FROM judged WHERE EXISTS (
    SELECT state, rows FROM counted WHERE counted.batch = judged.id EXCEPT SELECT state, rows FROM said WHERE said.batch = judged.id
) OR EXISTS (
    SELECT state, rows FROM said WHERE said.batch = judged.id EXCEPT SELECT state, rows FROM counted WHERE counted.batch = judged.id
);

-- name: check_json
-- Tasks whose record cannot be read.
SELECT (SELECT count(*) FROM live WHERE NOT json_valid(body, 8))
    + (SELECT count(*) FROM outcome WHERE NOT json_valid(body, 8) OR NOT json_valid(coalesce(failure, '[]')));
