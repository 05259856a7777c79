-- Nanoseconds since the epoch of a timestamp, a date or text; without a zone it is UTC.
create or replace macro ts_ns(moment) as
    epoch_ns(moment::varchar::timestamp_ns);
