-- What was merged is not synced. So its sources, which are, stay until the system has surely written it (30 s on Linux),
-- and no longer: each costs memory.
ALTER TABLE otel_traces MODIFY SETTING old_parts_lifetime = 120, max_cleanup_delay_period = 30;
ALTER TABLE operation_rollup MODIFY SETTING old_parts_lifetime = 120, max_cleanup_delay_period = 30;
ALTER TABLE clock_skew MODIFY SETTING old_parts_lifetime = 120, max_cleanup_delay_period = 30;
ALTER TABLE otel_logs MODIFY SETTING old_parts_lifetime = 120, max_cleanup_delay_period = 30;
ALTER TABLE otel_metrics_gauge MODIFY SETTING old_parts_lifetime = 120, max_cleanup_delay_period = 30;
ALTER TABLE otel_metrics_sum MODIFY SETTING old_parts_lifetime = 120, max_cleanup_delay_period = 30;
ALTER TABLE otel_metrics_histogram MODIFY SETTING old_parts_lifetime = 120, max_cleanup_delay_period = 30;
ALTER TABLE otel_metrics_exponential_histogram MODIFY SETTING old_parts_lifetime = 120, max_cleanup_delay_period = 30;
ALTER TABLE otel_metrics_summary MODIFY SETTING old_parts_lifetime = 120, max_cleanup_delay_period = 30;
ALTER TABLE error_counts MODIFY SETTING old_parts_lifetime = 120, max_cleanup_delay_period = 30;
ALTER TABLE customer_rollup MODIFY SETTING old_parts_lifetime = 120, max_cleanup_delay_period = 30;
