//! OneAlert beside real programs of other makers, each where it is installed. See `tests/`.
