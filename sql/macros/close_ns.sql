-- When the bar of an interval closes that opens at an instant.
create or replace macro close_ns(ns, step) as
    case
        when step = '1M' then epoch_ns(make_timestamp(ns // 1000) + interval '1 month')
        else ns + step_ns(step)
    end;
