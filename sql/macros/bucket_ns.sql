-- Where the bar of an interval opens that holds an instant: UTC, weeks from Monday, months by the calendar.
create or replace macro bucket_ns(ns, step) as
    case
        when step = '1M' then epoch_ns(date_trunc('month', make_timestamp(ns // 1000))::timestamp)
        when right(step, 1) = 'w' then ns - (ns - 345600000000000) % step_ns(step)
        else ns - ns % step_ns(step)
    end;
