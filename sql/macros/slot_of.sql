-- The number of the bucket of a grid that holds an instant: step in nanoseconds, null for calendar months; phase where bucket 0 opens.
create or replace macro slot_of(ns, step, phase) as
    case
        when step is null
            then (year(make_timestamp(ns // 1000)) - 1970) * 12 + month(make_timestamp(ns // 1000)) - 1
        else (ns - phase) // step
    end;
