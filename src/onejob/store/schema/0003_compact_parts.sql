-- A batch of spans is written as one file instead of one per column (some 120, each opened, synced and closed): that was
-- 40 % of the time its insert took (measured). What is merged beyond this size is kept by column.
ALTER TABLE otel_traces MODIFY SETTING min_bytes_for_wide_part = 67108864;
