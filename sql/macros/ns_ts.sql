-- The UTC timestamp of nanoseconds since the epoch, to the microsecond, as the views' `time`.
create or replace macro ns_ts(ns) as
    make_timestamp(ns // 1000);
