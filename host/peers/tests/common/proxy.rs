//! A connection between a primary and a secondary that can be cut.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use onealert_core::ids::ServerId;
use onealert_peers::PeerAddress;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// Passes bytes on, and cuts the first connection after `limit` bytes from the primary; never, if that is 0.
pub struct Proxy {
    address: String,
    pub calls: Arc<AtomicU64>,
    /// How many times the primary has sent something.
    pub passed: Arc<AtomicU64>,
    rest: Arc<AtomicU64>,
}

impl Proxy {
    pub async fn start(primary: String, limit: u64) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound").to_string();
        let rest = Arc::new(AtomicU64::new(limit));
        let proxy = Proxy { address, calls: Arc::default(), passed: Arc::default(), rest: rest.clone() };
        let (calls, passed) = (proxy.calls.clone(), proxy.passed.clone());
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                calls.fetch_add(1, Ordering::Relaxed);
                let far = TcpStream::connect(&primary).await.expect("the primary runs");
                tokio::spawn(pass(near, far, rest.clone(), passed.clone()));
            }
        });
        proxy
    }

    /// Cuts the connection that stands once so many more bytes have come from the primary.
    pub fn cut_after(&self, bytes: u64) {
        self.rest.store(bytes, Ordering::Relaxed);
    }

    pub fn address(&self) -> PeerAddress {
        PeerAddress { id: ServerId(1), address: self.address.clone() }
    }
}

async fn pass(near: TcpStream, far: TcpStream, rest: Arc<AtomicU64>, passed: Arc<AtomicU64>) {
    let (mut near_in, mut near_out) = near.into_split();
    let (mut far_in, mut far_out) = far.into_split();
    let down = async {
        let mut bytes = [0; 8192];
        while let Ok(read @ 1..) = far_in.read(&mut bytes).await {
            if near_out.write_all(&bytes[..read]).await.is_err() {
                break;
            }
            passed.fetch_add(1, Ordering::Relaxed);
            let before = rest.load(Ordering::Relaxed);
            if before > 0 {
                let now = before.saturating_sub(read as u64);
                rest.store(now, Ordering::Relaxed);
                if now == 0 {
                    break;
                }
            }
        }
    };
    tokio::select! {
        () = down => {}
        _ = tokio::io::copy(&mut near_in, &mut far_out) => {}
    }
}
