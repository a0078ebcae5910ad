//! The JSON API as a client sees it.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use http_client::{Client, HttpError, Limits, Method, Options, Request};
use serde_json::{Value, json};

use crate::wait_for;

/// How long what must come is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// Asks one server.
#[derive(Clone)]
pub struct Api {
    client: Client,
    base: String,
    login: String,
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The body as JSON; null when it is not.
    pub json: Value,
    /// The body as text.
    pub text: String,
}

impl Api {
    /// A client of the server whose pages are at `base`.
    pub fn new(base: impl Into<String>, user: &str, password: &str) -> Api {
        let login = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
        // A server ends a connection that is idle for 10 s. A question on one that ends in that moment is not asked again.
        let client = Client::new(Options { keep_idle: Duration::from_secs(2), ..Options::default() });
        Api { client, base: base.into(), login }
    }

    /// Asks; an unreachable server is an error.
    ///
    /// # Errors
    /// No whole answer came.
    pub async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Answer, HttpError> {
        let mut request = self.request(method, path).header("Accept", "application/json");
        if let Some(body) = body {
            request = request.header("Content-Type", "application/json");
            request.body = body.to_string().into_bytes().into();
        }
        self.answer(request).await
    }

    /// Asks; again for as long as the answer is that a driver's process did not answer in time. On a busy machine that is nobody's
    /// fault, and nothing was changed.
    ///
    /// # Errors
    /// No whole answer came.
    ///
    /// # Panics
    /// The driver's process never answers in time.
    pub async fn ask_a_driver(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Answer, HttpError> {
        wait_for(&format!("a driver answers {method} {path} in time"), PATIENCE, || async {
            let answer = self.ask(method.clone(), path, body).await;
            let slow = answer.as_ref().is_ok_and(|answer| answer.status == 422 && answer.text.contains(" within "));
            if slow {
                println!("{method} {path} is asked again: {answer:?}");
            }
            (!slow).then_some(answer)
        })
        .await
    }

    fn request(&self, method: Method, path: &str) -> Request {
        let limits = Limits { deadline: Duration::from_secs(30), ..Limits::default() };
        Request::new(method, format!("{}{path}", self.base)).limits(limits).header("Authorization", self.login.as_str())
    }

    async fn answer(&self, request: Request) -> Result<Answer, HttpError> {
        let response = self.client.send(request).await?;
        let text = String::from_utf8_lossy(&response.body).into_owned();
        let json = serde_json::from_str(&text).unwrap_or(Value::Null);
        Ok(Answer { status: response.status, json, text })
    }

    /// Reads.
    ///
    /// # Panics
    /// The server does not answer, or answers something else than 200.
    pub async fn get(&self, path: &str) -> Value {
        self.good(Method::GET, path, None).await
    }

    /// Reads; nothing when the server does not answer, or refuses. For those who wait: a server that
    /// starts anew answers a moment later.
    pub async fn try_get(&self, path: &str) -> Option<Value> {
        let answer = self.ask(Method::GET, path, None).await.ok()?;
        (200..300).contains(&answer.status).then_some(answer.json)
    }

    /// Posts.
    ///
    /// # Panics
    /// The server does not answer, or refuses.
    pub async fn post(&self, path: &str, body: Value) -> Value {
        self.good(Method::POST, path, Some(body)).await
    }

    /// Puts.
    ///
    /// # Panics
    /// The server does not answer, or refuses.
    pub async fn put(&self, path: &str, body: Value) -> Value {
        self.good(Method::PUT, path, Some(body)).await
    }

    /// Enables a driver with these settings, once the server has found it. An unsigned file is pinned.
    ///
    /// # Panics
    /// It is not found in time, or refused.
    pub async fn enable(&self, driver: &str, settings: Value) {
        wait_for(&format!("the driver {driver} is found"), PATIENCE, || async {
            let drivers = self.try_get("/api/v1/drivers").await?;
            self.pin(driver).await;
            drivers["drivers"].as_array()?.iter().any(|found| found["id"] == driver).then_some(())
        })
        .await;
        self.post(&format!("/api/v1/drivers/{driver}/enable"), settings).await;
    }

    /// Pins the driver's files in the driver folder that nobody signed: those that were just built.
    ///
    /// # Panics
    /// The server refuses.
    pub async fn pin(&self, driver: &str) {
        let drivers = self.get("/api/v1/drivers").await;
        let files = drivers["files"].as_array().cloned().unwrap_or_default();
        for file in files.iter().filter(|file| file["driver"] == driver && file["may_be_pinned"] == true) {
            self.post("/api/v1/driver-pins", json!({"sha256": file["sha256"]})).await;
        }
    }

    /// Waits until the server has so many endpoints, and has heard well of each.
    ///
    /// # Panics
    /// Not in time.
    pub async fn knows_endpoints(&self, count: usize) {
        wait_for(&format!("{count} endpoints are known and well"), PATIENCE, || async {
            let rows = self.try_get("/api/v1/endpoints").await?;
            let rows = rows.as_array()?;
            (rows.len() == count && rows.iter().all(|row| row["state"] == "ok")).then_some(())
        })
        .await;
    }

    /// Stops an activation that runs, once the server that is asked knows it: one that stood still for a moment learns of it later
    /// than others.
    ///
    /// # Panics
    /// Not in time.
    pub async fn stop(&self, activation: &str) {
        let path = format!("/api/v1/running/{activation}/stop");
        wait_for("it takes the stop", PATIENCE, || async {
            let answer = self.ask(Method::POST, &path, Some(&json!({}))).await.ok()?;
            (200..300).contains(&answer.status).then_some(())
        })
        .await;
    }

    /// Posts nothing with an idempotency key; an unreachable server is an error, and may have done it.
    ///
    /// # Errors
    /// No whole answer came.
    pub async fn try_send_with_key(&self, path: &str, key: &str) -> Result<Answer, HttpError> {
        self.answer(self.request(Method::POST, path).header("Idempotency-Key", key)).await
    }

    /// Posts nothing with an idempotency key.
    ///
    /// # Panics
    /// The server does not answer, or refuses.
    pub async fn send_with_key(&self, path: &str, key: &str) -> Value {
        let answer = self.try_send_with_key(path, key).await.unwrap_or_else(|error| panic!("POST {path}: {error}"));
        assert!((200..300).contains(&answer.status), "POST {path}: {} {}", answer.status, answer.text);
        answer.json
    }

    async fn good(&self, method: Method, path: &str, body: Option<Value>) -> Value {
        let answer = self.ask_a_driver(method.clone(), path, body.as_ref()).await;
        let answer = answer.unwrap_or_else(|error| panic!("{method} {}{path}: {error}", self.base));
        assert!((200..300).contains(&answer.status), "{method} {path}: {} {}", answer.status, answer.text);
        answer.json
    }
}
