-- The number of the bucket of a grid that a bar fills, with step and phase as in slot_of: where it opens, an hour early at most for days and weeks.
-- Days of a zone with summer time open an hour earlier while it lasts, and those are no other days.
create or replace macro slot_of_bar(ns, step, phase) as
    slot_of(ns + case when step >= 86400000000000 then 3600000000000 else 0 end, step, phase);
