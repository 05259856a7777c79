-- When the bucket of a grid opens that has a number, in nanoseconds, with step and phase as in slot_of.
create or replace macro slot_ns(slot, step, phase) as
    case
        when step is null
            then epoch_ns(make_timestamp(1970 + slot // 12, slot % 12 + 1, 1, 0, 0, 0.0))
        else slot * step + phase
    end;
