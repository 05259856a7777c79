-- The length of an interval (1m, 4h, 1d, 2w) in nanoseconds; null for 1M, which the calendar measures.
create or replace macro step_ns(step) as
    case right(step, 1)
        when 'm' then 60000000000
        when 'h' then 3600000000000
        when 'd' then 86400000000000
        when 'w' then 604800000000000
    end * nullif(try_cast(left(step, length(step) - 1) as bigint), 0);
