//! What the whole product promises, tried on real server processes. The stories are in `tests/`; nothing is here.
