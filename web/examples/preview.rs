//! Serves the pages of an installation that exists in memory only: for design work and for the browser tests.
//!
//! `cargo run -p onealert-web --example preview -- [--listen ADDRESS:PORT] [--tls] [--secondary | --empty]`, then sign in as
//! `admin` with `admin-secret-1` (also `editor`, `sender`, `viewer`). One line a control command is read from standard
//! input: `down` and `up` make the server pb-1 go and return; the end of the input ends the program, as SIGTERM does.

#[path = "../tests/world/mod.rs"]
mod world;

use std::{io::BufRead, net::SocketAddr, sync::Arc, time::Duration};

use onealert_web::{ServeConfig, bind, needs::State, serve};
use tokio::sync::{mpsc, watch};
use world::{PB1, World};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let has = |name: &str| args.iter().any(|arg| arg == name);
    let listen = args.iter().position(|arg| arg == "--listen").and_then(|at| args.get(at + 1));
    let listen: SocketAddr = listen.map_or("127.0.0.1:0", String::as_str).parse()?;
    let world = if has("--secondary") {
        World::secondary()
    } else if has("--empty") {
        World::empty()
    } else {
        World::primary()
    };
    let (stop, stopped) = watch::channel(false);
    let listener = bind(listen).await?;
    let addr = listener.local_addr()?;
    let mut config =
        ServeConfig { allow_http_login: true, stop_within: Duration::from_secs(60), ..ServeConfig::default() };
    let scheme = if has("--tls") {
        config.https.push((listener, tls()?));
        "https"
    } else {
        config.http.push(listener);
        "http"
    };
    // One line for whoever started it: a person, or a test that waits for it.
    println!("listening on {scheme}://{addr}");

    let ticking = Arc::clone(&world);
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            tick(&ticking);
        }
    });
    let (commands, mut received) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if commands.send(line).is_err() {
                break;
            }
        }
    });
    let mut terminated = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::spawn({
        let world = Arc::clone(&world);
        async move {
            loop {
                tokio::select! {
                    command = received.recv() => match command {
                        Some(command) => obey(&world, command.trim()),
                        None => break,
                    },
                    _ = terminated.recv() => break,
                }
            }
            stop.send_replace(true);
        }
    });
    serve(world, config, stopped).await;
    Ok(())
}

fn obey(world: &World, command: &str) {
    world.change(|state| {
        let Some(server) = state.status.servers.iter_mut().find(|server| server.id == PB1) else { return };
        match command {
            "down" => {
                server.state = State::Bad;
                server.text = "Not heard".to_owned();
                server.heard_ms_ago = Some(6000);
            }
            "up" => {
                server.state = State::Ok;
                server.text = "Standing by".to_owned();
                server.heard_ms_ago = Some(100);
            }
            other => eprintln!("unknown command {other:?}: down or up"),
        }
    });
}

/// A second passes: heartbeats move on, what runs reaches its endpoints and ends.
fn tick(world: &World) {
    world.change(|state| {
        state.status.at = world::now();
        for server in &mut state.status.servers {
            match (server.state, &mut server.heard_ms_ago) {
                (State::Bad, Some(ms)) => *ms += 1000,
                (_, Some(ms)) => *ms = 80 + (*ms * 7) % 300,
                (_, None) => {}
            }
            server.heartbeats.rotate_left(1);
        }
        for run in &mut state.running {
            run.reached = (run.reached + 1).min(run.meant);
        }
        state.running.retain(|run| world::now().0 - run.accepted.0 < 30_000);
    });
}

fn tls() -> Result<Arc<rustls::ServerConfig>, Box<dyn std::error::Error>> {
    let certified = rcgen::generate_simple_self_signed(vec!["localhost".to_owned(), "127.0.0.1".to_owned()])?;
    let key = rustls::pki_types::PrivateKeyDer::try_from(certified.signing_key.serialize_der())?;
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key)?;
    Ok(Arc::new(config))
}
