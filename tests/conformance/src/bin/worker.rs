//! The role `driver-worker` as a program of its own, so that these tests do not have to build the server.

use std::{path::Path, process::ExitCode};

fn main() -> ExitCode {
    match std::env::args_os().next_back() {
        Some(library) => onealert_drivers::worker::main(Path::new(&library)),
        None => ExitCode::FAILURE,
    }
}
