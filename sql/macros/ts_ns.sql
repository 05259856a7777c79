-- Nanoseconds since the epoch of a timestamp, a date or text; without a zone it is UTC.
-- A zone is text behind the time of day. Casts to a timestamp without one pass over it, and those with one end at microseconds.
create or replace macro ts_ns(moment) as
    case
        when regexp_matches(moment::varchar, ':.*[-+A-Za-z]')
            then epoch_us(moment::varchar::timestamptz) * 1000 + epoch_ns(moment::varchar::timestamp_ns) % 1000
        else epoch_ns(moment::varchar::timestamp_ns)
    end;
