//! System Status: what needs somebody, what is being sent, one tab a server. Also stopping what runs.

use std::fmt::Write;

use askama::Template;
use http::Method;
use onealert_core::{
    ids::{ActivationId, ServerId},
    time::Wall,
};

use super::{Frame, Stream, caller, confirm::Confirm, frame::Pulse, not_here};
use crate::{
    caller::Caller,
    needs::{Attention, Beat, Live, Problem, Running, ServerStatus},
    reply::{self, Reply},
    request::Request,
    roles::Action,
    words,
};

#[derive(Template)]
#[template(path = "status.html")]
struct StatusPage {
    frame: Frame,
    attention: AttentionPart,
    running: RunningPart,
    servers: Vec<ServerParts>,
    /// Servers are not renamed here or by this user.
    shut: bool,
}

struct ServerParts {
    id: String,
    name: String,
    tab: TabPart,
    panel: PanelPart,
}

#[derive(Template)]
#[template(path = "attention.html")]
struct AttentionPart {
    attention: Vec<Attention>,
    /// The moment for which it is told.
    at: Wall,
}

#[derive(Template)]
#[template(path = "running.html")]
struct RunningPart {
    running: Vec<Running>,
    may_send: bool,
}

#[derive(Template)]
#[template(path = "tab.html")]
struct TabPart {
    server: ServerStatus,
}

#[derive(Template)]
#[template(path = "server.html")]
struct PanelPart {
    server: ServerStatus,
    /// Not heard for a while: its values are old.
    stale: bool,
    beats: String,
    beats_text: String,
}

/// A server not heard for so long shows old values.
const STALE_MS: u64 = 5000;

/// `/status`.
pub async fn answer(request: Request) -> Result<Reply, Problem> {
    let caller = caller(&request).await?;
    match (request.method.clone(), &request.parts()[..]) {
        (Method::GET, ["status"]) => {}
        (Method::POST, ["status", "servers", id]) => return rename(&request, &caller, id).await,
        _ => return Err(not_here(&request)),
    }
    let status = caller.status().await?;
    let running = caller.running().await?;
    let may_send = caller.can(Action::Send);
    let mut frame = Frame::of(&request, &caller, "System Status");
    frame.stream = Stream::Status.name();
    let servers = status.servers.into_iter().map(|server| ServerParts {
        id: server.id.to_string(),
        name: server.name.clone(),
        tab: TabPart { server: server.clone() },
        panel: panel(server),
    });
    reply::page(&StatusPage {
        shut: frame.shut(&caller, Action::Configure),
        frame,
        attention: AttentionPart { attention: status.attention, at: status.at },
        running: RunningPart { running, may_send },
        servers: servers.collect(),
    })
}

async fn rename(request: &Request, caller: &Caller, id: &str) -> Result<Reply, Problem> {
    let server: ServerId = id.parse().map_err(|_| Problem::not_found("server", id))?;
    caller.rename_server(server, request.form().text("/name")).await?;
    Ok(reply::redirect(&format!("/status?done=renamed#server-{server}")))
}

/// The parts of a page that change while one looks, by name: what the live stream sends and the script puts in place.
pub fn parts(live: &Live, stream: Stream, may_send: bool) -> Vec<(String, String)> {
    let render = |part: &dyn askama::DynTemplate| part.dyn_render().unwrap_or_default();
    let mut parts = vec![("pulse".to_owned(), render(&Pulse::of(live)))];
    if stream == Stream::Status {
        let attention = AttentionPart { attention: live.status.attention.clone(), at: live.status.at };
        parts.push(("attention".to_owned(), render(&attention)));
        parts.push(("running".to_owned(), render(&RunningPart { running: live.running.clone(), may_send })));
        for server in &live.status.servers {
            parts.push((format!("tab-{}", server.id), render(&TabPart { server: server.clone() })));
            parts.push((format!("server-{}", server.id), render(&panel(server.clone()))));
        }
    }
    parts
}

fn panel(server: ServerStatus) -> PanelPart {
    let (beats, beats_text) = beats(&server.name, &server.heartbeats);
    PanelPart { stale: is_stale(&server), beats, beats_text, server }
}

/// Not heard for so long that what is known of it is old.
pub fn is_stale(server: &ServerStatus) -> bool {
    server.heard_ms_ago.is_some_and(|ms| ms > STALE_MS)
}

/// The last heartbeats as a row of bars, and the same in words. The picture holds numbers and fixed words only.
fn beats(name: &str, beats: &[Beat]) -> (String, String) {
    let count = |wanted: Beat| beats.iter().filter(|beat| **beat == wanted).count();
    let mut words = format!("Last {}", words::count(beats.len(), "heartbeat", "heartbeats"));
    let bad = [(Beat::Missed, "missed"), (Beat::Late, "late"), (Beat::Paused, "paused")];
    let said: Vec<String> = bad
        .into_iter()
        .filter(|(beat, _)| count(*beat) > 0)
        .map(|(beat, word)| format!("{} {word}", count(beat)))
        .collect();
    words.push_str(": ");
    words.push_str(&if said.is_empty() { "all in time".to_owned() } else { said.join(", ") });
    let mut svg = format!(
        r#"<svg viewBox="0 0 {} 20" preserveAspectRatio="none" role="img" aria-label="#,
        beats.len().max(1) * 6
    );
    let _ = write!(svg, r#""{words}"><title>"#);
    // The one text that comes from outside is escaped like everywhere else.
    let _ = write!(
        svg,
        "{}",
        askama::filters::escape(name, askama::filters::Html).map(|text| text.to_string()).unwrap_or_default()
    );
    svg.push_str("</title>");
    for (n, beat) in beats.iter().enumerate() {
        // Height as well as colour tells them apart.
        let (class, top) = match beat {
            Beat::Ok => ("ok", 2),
            Beat::Late => ("warning", 8),
            Beat::Missed => ("bad", 14),
            Beat::Paused => ("off", 10),
        };
        let _ = write!(
            svg,
            r#"<rect class="{class}" x="{}" y="{top}" width="4" height="{}" rx="1"/>"#,
            n * 6 + 1,
            18 - top
        );
    }
    svg.push_str("</svg>");
    (svg, words)
}

/// `/running/...`: stopping.
pub async fn running(request: Request) -> Result<Reply, Problem> {
    let caller = caller(&request).await?;
    let sure = request.form().text("confirm") == "yes";
    match (request.method.clone(), &request.parts()[..]) {
        (Method::POST, ["running", "stop-all"]) if !sure => {
            caller.require(Action::Send)?;
            let running = caller.running().await?.len();
            reply::page(&Confirm {
                frame: Frame::of(&request, &caller, "Stop everything"),
                lines: vec![format!(
                    "This ends {} on every server at once.",
                    words::count(running, "running notification", "running notifications")
                )],
                action: "/running/stop-all".to_owned(),
                hidden: Vec::new(),
                class: "stop",
                button: "Stop everything now".to_owned(),
                back: "/status".to_owned(),
            })
        }
        (Method::POST, ["running", "stop-all"]) => {
            caller.stop_all().await?;
            Ok(reply::redirect("/status?done=stopped"))
        }
        (Method::POST, ["running", id, "stop"]) => {
            let id: ActivationId = id.parse().map_err(|_| Problem::not_found("activation", id))?;
            match caller.stop(id).await {
                // It ended by itself in between: what was wanted is so.
                Err(problem) if problem.status == 404 => {}
                other => other?,
            }
            Ok(reply::redirect("/status?done=stopped"))
        }
        (Method::GET, _) => Ok(reply::redirect("/status")),
        _ => Err(not_here(&request)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heartbeats_are_drawn_and_told() {
        let (svg, text) = beats("<b>&\"x", &[Beat::Ok, Beat::Missed, Beat::Late, Beat::Missed]);
        assert_eq!(text, "Last 4 heartbeats: 2 missed, 1 late");
        assert_eq!(svg.matches("<rect").count(), 4);
        assert!(svg.contains(r#"aria-label="Last 4 heartbeats: 2 missed, 1 late""#), "{svg}");
        assert!(!svg.contains("<b>"), "{svg}");
        assert_eq!(beats("a", &[Beat::Ok]).1, "Last 1 heartbeat: all in time");
    }
}
