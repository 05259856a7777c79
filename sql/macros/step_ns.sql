-- The length of an interval (1m, 4h, 1d, 2w) in nanoseconds; null for 1M, which the calendar measures, and what is none.
create or replace macro step_ns(step) as
    case
        when regexp_full_match(step, '[1-9][0-9]{0,3}[mhdw]')
            then try_cast(left(step, length(step) - 1) as bigint) * case right(step, 1)
                when 'm' then 60000000000
                when 'h' then 3600000000000
                when 'd' then 86400000000000
                else 604800000000000
            end
    end;
