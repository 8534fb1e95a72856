-- What another session asks when an answer does not come. There is no such thing in a file.

-- name: forgotten
-- Whether a session of this server is gone, or has been waiting for a statement for so many seconds.
-- pid, idle_s
SELECT NOT EXISTS (
    SELECT 1 FROM pg_stat_activity WHERE pid = :pid::integer
        AND NOT (state LIKE 'idle%' AND clock_timestamp() - state_change > make_interval(secs => :idle_s::double precision))
);
