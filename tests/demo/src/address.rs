//! What stands at an address, looked at before any server is started: whoever mistyped it hears of it at once.

use http_client::{Client, Limits, Options, Redirects, Request};
use plugin_cap::wire::{self, Hint};

/// As much as the driver takes of a feed.
const MOST_BYTES: usize = 4 << 20;

/// The bytes that stand there, once it is certain that the driver finds something in them.
///
/// # Errors
/// Nobody answers, the answer is not what was asked for, it is neither an alert nor a feed, or the feed is empty.
pub async fn fetch(url: &str) -> Result<Vec<u8>, String> {
    let redirects = Redirects::Follow { max: 3, https_only: url.starts_with("https:"), hosts: None };
    let request = Request::get(url)
        .header("user-agent", concat!("OneAlert/", env!("CARGO_PKG_VERSION"), " demo"))
        .header("accept", "application/cap+xml, application/geo+json, application/xml;q=0.8, */*;q=0.1")
        .header("accept-encoding", "gzip")
        .limits(Limits { body_bytes: MOST_BYTES, redirects, ..Limits::default() });
    let answer = Client::new(Options::default()).send(request).await.map_err(|error| format!("{url}: {error}"))?;
    if answer.status != 200 {
        return Err(format!("{url}: it answered {}, not an alert or a feed", answer.status));
    }
    let document = wire::read(&answer.body, Hint::default())
        .map_err(|refusal| format!("{url}: it is neither an alert nor a feed: {refusal}"))?;
    if document.messages.is_empty() && document.entries.is_empty() {
        return Err(format!("{url}: it is a feed in which no alert stands at present"));
    }
    Ok(answer.body.to_vec())
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use plugin_cap::samples;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::{TcpListener, TcpSocket},
    };

    use super::*;

    #[tokio::test]
    async fn an_alert_is_brought_as_it_stands_there() {
        let alert = samples::warning(1, 1_700_000_000_000);
        let url = serve("200 OK", alert.clone()).await;
        assert_eq!(fetch(&url).await, Ok(alert.into_bytes()));
    }

    #[tokio::test]
    async fn a_mistake_is_told_with_the_address_and_with_what_was_found_there() {
        let page = "<!doctype html><html><head><title>Alerts</title></head><body><p>Hello</body></html>".to_owned();
        let feed = "<feed xmlns=\"http://www.w3.org/2005/Atom\"><title>Alerts</title></feed>".to_owned();
        for (status, body, told) in [
            ("404 Not Found", "no".to_owned(), "it answered 404, not an alert or a feed"),
            ("200 OK", page, "it is neither an alert nor a feed: "),
            ("200 OK", feed, "it is a feed in which no alert stands at present"),
        ] {
            let url = serve(status, body).await;
            let error = fetch(&url).await.expect_err(told);
            assert!(error.starts_with(&format!("{url}: {told}")), "{error}");
        }
        // Held and not listened at: nobody else is given the port meanwhile.
        let held = TcpSocket::new_v4().expect("a socket");
        held.bind((Ipv4Addr::LOCALHOST, 0).into()).expect("a port");
        let free = held.local_addr().expect("an address");
        let refused = fetch(&format!("http://{free}/alert.xml")).await.expect_err("nobody listens");
        assert!(refused.contains(&free.to_string()) && refused.to_lowercase().contains("refused"), "{refused}");
    }

    /// Answers every request so; gives the address.
    async fn serve(status: &'static str, body: String) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/alerts", listener.local_addr().expect("an address"));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).await;
                let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
                let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
            }
        });
        url
    }
}
