//! Sent Notifications: the list with its filters, and one record in full.

use askama::Template;
use http::{HeaderValue, Method, StatusCode, header};
use onealert_core::{effect::Outcome, ids::ActivationId};

use super::{Frame, caller, not_here};
use crate::{
    caller::Caller,
    form::Choice,
    needs::{Problem, Sender, SentDetail, SentPage, SentQuery, SentRow},
    reply::{self, Reply},
    request::{Fields, Request, encode},
    words,
};

const PAGE: u32 = 50;
/// Rows in a CSV file.
const CSV_ROWS: usize = 10_000;

#[derive(Template)]
#[template(path = "sent.html")]
struct ListPage {
    frame: Frame,
    page: SentPage,
    q: String,
    tabs: Vec<Tab>,
    server: String,
    outcomes: Vec<Choice>,
    filtered: bool,
    next: Option<String>,
    csv: String,
}

/// One server's records, or everybody's.
struct Tab {
    name: String,
    href: String,
    current: bool,
}

#[derive(Template)]
#[template(path = "sent_detail.html")]
struct DetailPage {
    frame: Frame,
    detail: SentDetail,
    lasted: u64,
}

/// `/sent`.
pub async fn answer(request: Request) -> Result<Reply, Problem> {
    let caller = caller(&request).await?;
    match (request.method.clone(), &request.parts()[..]) {
        (Method::GET, ["sent"]) => list(&request, &caller).await,
        (Method::GET, ["sent", "list.csv"]) => csv(&request, &caller).await,
        (Method::GET, ["sent", id]) => {
            let id: ActivationId = id.parse().map_err(|_| Problem::not_found("activation", id))?;
            let detail = caller.sent_detail(id).await?;
            let lasted = detail.row.ended.0.saturating_sub(detail.row.accepted.0).max(0) as u64;
            reply::page(&DetailPage { frame: Frame::of(&request, &caller, detail.row.name.clone()), detail, lasted })
        }
        _ => Err(not_here(&request)),
    }
}

/// The filters in an address: the same words for page and API.
///
/// # Errors
/// 400 for a filter that is not one.
pub fn query(fields: &Fields, limit: u32) -> Result<SentQuery, Problem> {
    let given = |name: &str| fields.get(name).filter(|text| !text.is_empty());
    let server = given("server").map(|id| id.parse()).transpose();
    let outcome = given("outcome").map(|word| outcome(word).ok_or_else(|| bad_outcome(word))).transpose()?;
    Ok(SentQuery {
        after: given("after").map(str::to_owned),
        limit: given("limit").and_then(|text| text.parse().ok()).unwrap_or(limit),
        server: server.map_err(|error: onealert_core::ids::BadId| Problem::bad_request(format!("{error}.")))?,
        outcome,
        text: fields.text("q"),
    })
}

fn outcome(word: &str) -> Option<Outcome> {
    words::OUTCOMES.into_iter().find(|(_, known)| *known == word).map(|(outcome, _)| outcome)
}

fn bad_outcome(word: &str) -> Problem {
    let known = words::OUTCOMES.map(|(_, word)| word).join(", ");
    Problem::bad_request(format!("The outcome {word:?} is not one of {known}."))
}

async fn list(request: &Request, caller: &Caller) -> Result<Reply, Problem> {
    let query = query(&request.query, PAGE)?;
    let page = caller.sent(query.clone()).await?;
    let tabs = tabs(request, &query, caller.senders().await?);
    let mut outcomes = vec![Choice::new("", "All", query.outcome.is_none())];
    outcomes.extend(
        words::OUTCOMES
            .map(|(outcome, word)| Choice::new(word, words::outcome(outcome), query.outcome == Some(outcome))),
    );
    let kept = kept(request, &["q", "server", "outcome"]);
    reply::page(&ListPage {
        frame: Frame::of(request, caller, "Sent Notifications"),
        next: page.next.as_ref().map(|next| format!("/sent?{kept}after={}", encode(next))),
        csv: format!("/sent/list.csv?{kept}").trim_end_matches(['?', '&']).to_owned(),
        filtered: ["q", "outcome"].iter().any(|name| request.query.get(name).is_some_and(|value| !value.is_empty())),
        q: query.text,
        server: query.server.map(|id| id.to_string()).unwrap_or_default(),
        page,
        tabs,
        outcomes,
    })
}

/// Filters of an address, to be taken along in another one.
fn kept(request: &Request, names: &[&str]) -> String {
    let kept = names.iter().filter_map(|name| {
        let value = request.query.get(name).filter(|value| !value.is_empty())?;
        Some(format!("{name}={}&", encode(value)))
    });
    kept.collect()
}

/// A tab for all and one for each server; none where there is only one server to show.
fn tabs(request: &Request, query: &SentQuery, senders: Vec<Sender>) -> Vec<Tab> {
    if senders.len() < 2 {
        return Vec::new();
    }
    let filters = kept(request, &["q", "outcome"]);
    let href = |server: &str| format!("/sent?{filters}{server}").trim_end_matches(['?', '&']).to_owned();
    let all = Tab { name: "All servers".to_owned(), href: href(""), current: query.server.is_none() };
    let one = |sender: Sender| Tab {
        name: if sender.gone { format!("{} (deprovisioned)", sender.name) } else { sender.name },
        href: href(&format!("server={}", sender.id)),
        current: query.server == Some(sender.id),
    };
    std::iter::once(all).chain(senders.into_iter().map(one)).collect()
}

async fn csv(request: &Request, caller: &Caller) -> Result<Reply, Problem> {
    let mut query = query(&request.query, 500)?;
    query.limit = 500;
    let mut text = "accepted,ended,notification,triggered by,server,reached,meant,result,activation\r\n".to_owned();
    let mut rows = 0;
    loop {
        let page = caller.sent(query.clone()).await?;
        rows += page.rows.len();
        text.extend(page.rows.iter().map(csv_line));
        match page.next {
            Some(next) if rows < CSV_ROWS && !page.rows.is_empty() => query.after = Some(next),
            _ => break,
        }
    }
    let mut reply = reply::with_type(StatusCode::OK, "text/csv; charset=utf-8", text);
    let name = HeaderValue::from_static("attachment; filename=\"sent-notifications.csv\"");
    reply.headers_mut().insert(header::CONTENT_DISPOSITION, name);
    Ok(reply)
}

/// Everybody who sent it.
fn senders_of(row: &SentRow) -> String {
    row.sent_by.iter().map(|part| part.name.as_str()).collect::<Vec<_>>().join(" and ")
}

fn csv_line(row: &SentRow) -> String {
    let fields = [
        words::iso(row.accepted),
        words::iso(row.ended),
        row.name.clone(),
        row.source.clone(),
        senders_of(row),
        row.reached.to_string(),
        row.meant.to_string(),
        words::outcome(row.outcome).to_owned(),
        row.activation.to_string(),
    ];
    format!("{}\r\n", fields.map(|field| csv_field(&field)).join(","))
}

/// Quoted where needed. A text that a spreadsheet would run as a formula gets an apostrophe.
fn csv_field(text: &str) -> String {
    let text = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { text.to_owned() };
    if text.contains(['"', ',', '\r', '\n']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_fields_survive_commas_quotes_and_are_no_formulas() {
        assert_eq!(csv_field("Hall, \"north\""), "\"Hall, \"\"north\"\"\"");
        assert_eq!(csv_field("=HYPERLINK(1)"), "'=HYPERLINK(1)");
        assert_eq!(csv_field("plain"), "plain");
    }

    #[test]
    fn filters_that_are_none_are_refused_by_name() {
        let refused = query(&Fields::parse(b"outcome=fine"), 10).expect_err("no outcome");
        assert!(refused.detail.contains("fine"), "{refused}");
        assert_eq!(query(&Fields::parse(b"server=12"), 10).expect_err("no id").status, 400);
        let query = query(&Fields::parse(b"outcome=missed&q=+bell+&limit=7"), 10).expect("filters");
        assert_eq!((query.outcome, query.text.as_str(), query.limit), (Some(Outcome::Missed), "bell", 7));
    }
}
