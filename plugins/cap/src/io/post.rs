//! Alerts that are posted to the server: `POST /alert`, and `POST /explain?trigger=KEY` for a dry run. Both need the token.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use onealert_plugin_api::document::{HttpRequest, HttpResponse, Record};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::Engine;
use crate::{
    judge::{self, Outcome, Verdict},
    settings::TriggerSettings,
    source::Source,
    wire::{self, BODY_BYTES, Class, Hint},
};

/// Answers a request.
pub async fn answer(engine: &Engine, request: &HttpRequest) -> HttpResponse {
    let path = request.path.trim_end_matches('/');
    if !matches!(path, "/alert" | "/explain") {
        return said(404, "nothing is here: post alerts to /alert, or to /explain to try them");
    }
    if request.method != "POST" {
        return said(405, "alerts are sent by POST");
    }
    if engine.settings.post_token.is_empty() {
        return said(403, "posting is switched off: no token is set in the driver's settings");
    }
    if !is_authorised(request, &engine.settings.post_token) {
        let peer = &request.peer;
        tracing::warn!(peer, "a post without the right token was refused");
        return said(401, "the token is missing or wrong: send it as `Authorization: Bearer TOKEN`");
    }
    if request.body.len() > BODY_BYTES || request.body_base64.len() > BODY_BYTES / 3 * 4 + 4 {
        return refuse(engine, request, 413, &format!("the alert is longer than {BODY_BYTES} bytes"));
    }
    let decoded;
    let bytes = if request.body_base64.is_empty() {
        request.body.as_bytes()
    } else {
        match STANDARD.decode(&request.body_base64) {
            Ok(bytes) => {
                decoded = bytes;
                &decoded
            }
            Err(error) => return refuse(engine, request, 400, &format!("the body is not base64: {error}")),
        }
    };
    if path == "/explain" { explain(engine, request, bytes) } else { alert(engine, request, bytes).await }
}

async fn alert(engine: &Engine, request: &HttpRequest, bytes: &[u8]) -> HttpResponse {
    let content_type = request.headers.get("content-type").map(String::as_str).unwrap_or_default();
    // What came as text was decoded on its way here already.
    let charset = if request.body_base64.is_empty() { None } else { charset(content_type) };
    let document = match wire::read(bytes, Hint { charset }) {
        Ok(document) => document,
        Err(refusal) => return refuse(engine, request, refusal.http_status(), &refusal.to_string()),
    };
    if document.messages.is_empty() {
        return refuse(engine, request, 415, "there is no alert in it: links of posted feeds are not followed");
    }
    let source = Source::Posted;
    if engine.triggers_of(&source).is_empty() {
        return refuse(engine, request, 404, "no trigger of this server takes posted alerts");
    }
    let verdicts = engine.take(&source, &document.messages, true, |_| {}).await;
    if document.messages.iter().all(|message| message.worst() >= Some(Class::Essential)) {
        return told(400, "refused", &verdicts);
    }
    let keys: Vec<String> = document.messages.iter().filter_map(|message| message.alert.key()).collect();
    if engine.book().outbox.iter().any(|waiting| keys.contains(&waiting.event.key)) {
        return told(503, "waiting", &verdicts);
    }
    if verdicts.iter().all(|verdict| verdict.outcome == Outcome::Duplicate) {
        return told(200, "duplicate", &verdicts);
    }
    told(200, "accepted", &verdicts)
}

fn explain(engine: &Engine, request: &HttpRequest, bytes: &[u8]) -> HttpResponse {
    let wanted = request.query.split('&').find_map(|pair| pair.strip_prefix("trigger="));
    let settings = match wanted {
        None => TriggerSettings::default(),
        Some(key) => match engine.trigger(key) {
            Some(trigger) => trigger.rules.settings.clone(),
            None => return said(404, &format!("there is no trigger {key}")),
        },
    };
    told(200, "dry run", &judge::explain(bytes, &settings, engine.now()))
}

fn is_authorised(request: &HttpRequest, token: &str) -> bool {
    let given =
        request.headers.get("authorization").and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    // Digests have one length and reveal nothing by where they differ.
    Sha256::digest(given.trim().as_bytes()) == Sha256::digest(token.as_bytes())
}

/// The `charset` of a content type.
pub fn charset(content_type: &str) -> Option<&str> {
    content_type.split(';').skip(1).find_map(|part| {
        let (name, value) = part.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"'))
    })
}

fn refuse(engine: &Engine, request: &HttpRequest, status: u16, reason: &str) -> HttpResponse {
    engine.host.record(Record {
        subject: format!("post from {}", if request.peer.is_empty() { "unknown" } else { &request.peer }),
        trigger: None,
        verdict: Outcome::Refused.word().to_owned(),
        reason: reason.to_owned(),
    });
    said(status, reason)
}

fn said(status: u16, reason: &str) -> HttpResponse {
    json_answer(status, &json!({ "result": "refused", "reason": reason }))
}

fn told(status: u16, result: &str, verdicts: &[Verdict]) -> HttpResponse {
    json_answer(status, &json!({ "result": result, "verdicts": verdicts }))
}

fn json_answer(status: u16, body: &Value) -> HttpResponse {
    HttpResponse { status, content_type: "application/json".to_owned(), body: format!("{body}\n") }
}
