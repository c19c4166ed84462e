-- Which claims were asked for by name, as the `claims` parameter has it; none where only scopes were.
ALTER TABLE grants ADD COLUMN claims TEXT;
