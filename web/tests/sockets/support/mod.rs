//! A server in this process and a client that speaks plain bytes, so that a test sees exactly what went over the socket.

#![allow(dead_code, reason = "each test uses its part")]

use std::{net::SocketAddr, sync::Arc, time::Duration};

use onealert_web::{ServeConfig, bind, serve};
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    sync::watch,
    task::JoinHandle,
    time::timeout,
};

use crate::world::{PASSWORD, World};

/// Nothing in these tests takes longer on a busy machine.
pub const LONG: Duration = Duration::from_secs(20);

/// Every page that an administrator reaches from another.
pub const PAGES: &[&str] = &[
    "/status",
    "/sent",
    "/notifications",
    "/send",
    "/triggers",
    "/endpoints",
    "/groups",
    "/drivers",
    "/redundancy",
    "/redundancy/what-if",
    "/redundancy/drill",
    "/servers",
    "/users",
    "/logs",
    "/account",
];

/// A running server.
pub struct Server {
    pub world: Arc<World>,
    pub addr: SocketAddr,
    pub stop: watch::Sender<bool>,
    pub task: JoinHandle<()>,
}

impl Server {
    /// Plain HTTP with sign-in allowed.
    pub async fn start(world: Arc<World>) -> Server {
        Server::with(world, |config| config.allow_http_login = true).await
    }

    /// Plain HTTP within these limits.
    pub async fn with(world: Arc<World>, change: impl FnOnce(&mut ServeConfig)) -> Server {
        let listener = bind("127.0.0.1:0".parse().expect("an address")).await.expect("a free port");
        let addr = listener.local_addr().expect("a bound listener has an address");
        let mut config = ServeConfig { http: vec![listener], ..ServeConfig::default() };
        change(&mut config);
        Server::serving(world, config, addr)
    }

    pub fn serving(world: Arc<World>, config: ServeConfig, addr: SocketAddr) -> Server {
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(serve(world.clone(), config, stopped));
        Server { world, addr, stop, task }
    }

    /// Sends these bytes and reads to the end of the connection.
    pub async fn raw(&self, bytes: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(self.addr).await.expect("the server listens");
        talk(&mut stream, bytes).await
    }

    pub fn request(&self, method: &str, path: &str) -> Ask<'_> {
        Ask { server: self, method: method.to_owned(), path: path.to_owned(), headers: Vec::new(), body: Vec::new() }
    }
    pub fn get(&self, path: &str) -> Ask<'_> {
        self.request("GET", path)
    }

    /// Posts a form as a signed-in browser does.
    pub async fn post(&self, cookie: &str, path: &str, fields: &[(&str, &str)]) -> Answer {
        self.request("POST", path).cookie(cookie).form(fields).send().await
    }

    /// Signs in through the page and gives the cookie to send.
    pub async fn sign_in(&self, user: &str) -> String {
        let answer = self
            .request("POST", "/login")
            .form(&[("user", user), ("password", &format!("{user}{PASSWORD}"))])
            .send()
            .await;
        assert_eq!(answer.status, 303, "{answer:?}");
        answer.cookie()
    }
}

/// Sends bytes over any stream and reads the answer to the end of the connection.
pub async fn talk(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), bytes: &[u8]) -> Answer {
    let read = async {
        stream.write_all(bytes).await.expect("the server reads");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.expect("the server answers");
        answer
    };
    Answer::parse(&timeout(LONG, read).await.expect("the connection ends in time"))
}

/// A request being put together.
pub struct Ask<'a> {
    server: &'a Server,
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Ask<'_> {
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
    pub fn cookie(self, cookie: &str) -> Self {
        self.header("Cookie", cookie)
    }
    pub fn basic(self, user: &str, password: &str) -> Self {
        use base64::Engine;
        let text = base64::prelude::BASE64_STANDARD.encode(format!("{user}:{password}"));
        self.header("Authorization", &format!("Basic {text}"))
    }
    /// Name and password of one of the world's accounts.
    pub fn user(self, user: &str) -> Self {
        self.basic(user, &format!("{user}{PASSWORD}"))
    }
    pub fn form(mut self, fields: &[(&str, &str)]) -> Self {
        let encode = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
        let pairs: Vec<String> =
            fields.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
        self.body = pairs.join("&").into_bytes();
        self.header("Content-Type", "application/x-www-form-urlencoded")
    }
    pub fn json(mut self, value: &Value) -> Self {
        self.body = value.to_string().into_bytes();
        self.header("Content-Type", "application/json")
    }
    pub fn body(mut self, body: &[u8]) -> Self {
        self.body = body.to_vec();
        self
    }
    pub async fn send(self) -> Answer {
        let mut text =
            format!("{} {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", self.method, self.path, self.server.addr);
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        if !self.body.is_empty() || self.method != "GET" {
            text.push_str(&format!("Content-Length: {}\r\n", self.body.len()));
        }
        text.push_str("\r\n");
        self.server.raw(&[text.as_bytes(), &self.body].concat()).await
    }
}

/// An answer as it came.
#[derive(Debug)]
pub struct Answer {
    pub first_line: String,
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Answer {
    fn parse(bytes: &[u8]) -> Answer {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
        let end = end.unwrap_or_else(|| panic!("no answer but {:?}", String::from_utf8_lossy(bytes)));
        let (head, body) = (String::from_utf8_lossy(&bytes[..end]), &bytes[end + 4..]);
        let mut lines = head.lines();
        let first_line = lines.next().unwrap_or_default().to_owned();
        let status = first_line.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status line");
        let pair = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned()));
        let headers: Vec<(String, String)> = lines.filter_map(pair).collect();
        let chunked = headers.iter().any(|(name, value)| name == "transfer-encoding" && value == "chunked");
        // Lengths count bytes, and a packed body is no text: it becomes one last.
        let body = if chunked { dechunk(body) } else { body.to_vec() };
        Answer { first_line, status, headers, body: String::from_utf8_lossy(&body).into_owned() }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
    /// The session cookie that was set, ready to send.
    pub fn cookie(&self) -> String {
        let set = self.header("set-cookie").unwrap_or_else(|| panic!("no cookie: {self:?}"));
        set.split(';').next().unwrap_or_default().to_owned()
    }
    #[track_caller]
    pub fn is(self, status: u16) -> Answer {
        assert_eq!(self.status, status, "{self:?}");
        self
    }
    #[track_caller]
    pub fn shows(self, text: &str) -> Answer {
        assert!(self.body.contains(text), "{text:?} is not in {}", self.body);
        self
    }
    #[track_caller]
    pub fn hides(self, text: &str) -> Answer {
        assert!(!self.body.contains(text), "{text:?} is in {}", self.body);
        self
    }
}

fn dechunk(mut body: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    while let Some(end) = body.windows(2).position(|two| two == b"\r\n") {
        let size = usize::from_str_radix(String::from_utf8_lossy(&body[..end]).trim(), 16).unwrap_or(0);
        let rest = &body[end + 2..];
        if size == 0 || rest.len() < size {
            break;
        }
        whole.extend_from_slice(&rest[..size]);
        body = rest[size..].strip_prefix(b"\r\n").unwrap_or_default();
    }
    whole
}
