-- The float nearest to a whole number of 128 bits; a cast alone rounds twice and is one of its neighbours now and then.
-- What the cast left is added where a float holds it; text is always read right, but takes much longer.
create or replace macro nearest_double(whole) as
    case
        when abs(whole - whole::double::hugeint) < (2.0 ** 53)::hugeint
            then whole::double + (whole - whole::double::hugeint)::double
        else whole::varchar::double
    end;
