//! House rules that run as tests; each says why it exists. See `tests/`.
