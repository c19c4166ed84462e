//! What a shared log is asked, on a clock that the test turns; the log itself is the test's own.

