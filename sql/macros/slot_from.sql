-- The number of the first bucket of a grid that opens at an instant or after it, with step and phase as in slot_of.
create or replace macro slot_from(ns, step, phase) as
    case
        when step is null
            then (year(make_timestamp(ns // 1000)) - 1970) * 12 + month(make_timestamp(ns // 1000)) - 1
                + (epoch_ns(date_trunc('month', make_timestamp(ns // 1000))) < ns)::bigint
        else (ns - phase + step - 1) // step
    end;
