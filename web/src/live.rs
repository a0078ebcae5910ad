//! Live values: one stream of server-sent events a page, and one of JSON snapshots for programs.
//!
//! The first event holds everything, so a reconnect heals itself. Later events hold what changed. An event comes at least
//! every few seconds, so a page that hears nothing knows that it is stale.

use std::{collections::BTreeMap, convert::Infallible, sync::Arc, time::Duration};

use futures_util::stream;
use tokio::sync::watch;
use warp::{Reply as _, reply::Response, sse::Event};

use crate::{
    api,
    caller::Caller,
    needs::{Live, State},
    pages::{self, Stream},
    request::Request,
    roles::Action,
    routes::whole,
    site::Site,
};

/// A beat goes out after so long without a change.
const BEAT: Duration = Duration::from_secs(3);
/// Changes closer together than that go out as one.
const GATHER: Duration = Duration::from_millis(100);

/// `/live/<stream>`: parts of a page by name.
pub async fn page_stream(request: Request) -> Response {
    let caller = match authorised(&request).await {
        Ok(caller) => caller,
        Err(refused) => return refused,
    };
    let kind = if request.parts().get(1) == Some(&Stream::Status.name()) { Stream::Status } else { Stream::Frame };
    let may_send = caller.can(Action::Send);
    let (mut shown, mut words) = (BTreeMap::new(), None);
    events(&request, caller, "parts", move |live| {
        let mut changed = serde_json::Map::new();
        for (name, html) in pages::status::parts(live, kind, may_send) {
            if shown.get(&name) != Some(&html) {
                changed.insert(name.clone(), html.clone().into());
                shown.insert(name, html);
            }
        }
        // Changes of state are spoken; ticking numbers are not.
        let present = states(live);
        let said = words.replace(present.clone()).map(|before| announce(&before, &present)).unwrap_or_default();
        if !said.is_empty() {
            changed.insert("announce".to_owned(), said.into());
        }
        (!changed.is_empty()).then(|| serde_json::Value::Object(changed).to_string())
    })
}

/// `/api/v1/status/stream`: the whole state as JSON.
pub async fn api_stream(request: Request) -> Response {
    let caller = match Caller::of(&request, true).await.and_then(|caller| caller.require(Action::Look).map(|()| caller))
    {
        Ok(caller) => caller,
        Err(problem) => return whole(api::problem(&request, &problem)),
    };
    events(&request, caller, "status", |live| {
        Some(serde_json::to_string(live).expect("a state is plain data with text keys"))
    })
}

async fn authorised(request: &Request) -> Result<Caller, Response> {
    let caller = Caller::of(request, false).await.and_then(|caller| caller.require(Action::Look).map(|()| caller));
    caller.map_err(|problem| whole(api::problem(request, &problem)))
}

/// What a stream goes on from, from one event to the next.
struct Going<F> {
    site: Arc<Site>,
    caller: Caller,
    live: watch::Receiver<Arc<Live>>,
    stop: watch::Receiver<bool>,
    name: &'static str,
    make: F,
    first: bool,
}

fn events<F>(request: &Request, caller: Caller, name: &'static str, make: F) -> Response
where
    F: FnMut(&Live) -> Option<String> + Send + Sync + 'static,
{
    let (live, stop) = (caller.needs.live(), request.site.stop.clone());
    let going = Going { site: Arc::clone(&request.site), caller, live, stop, name, make, first: true };
    let events = stream::unfold(going, |mut going| async move {
        let event = going.next().await?;
        Some((Ok::<_, Infallible>(event), going))
    });
    warp::sse::reply(events).into_response()
}

impl<F: FnMut(&Live) -> Option<String>> Going<F> {
    /// The next event; `None` when the server stops or the user may no longer look.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if *self.stop.borrow() {
                return None;
            }
            let mut beat = false;
            if !std::mem::take(&mut self.first) {
                beat = tokio::select! {
                    _ = self.stop.wait_for(|stop| *stop) => return None,
                    changed = self.live.changed() => { changed.ok()?; false }
                    () = tokio::time::sleep(BEAT) => true,
                };
                if !beat {
                    tokio::time::sleep(GATHER).await;
                }
            }
            if !self.may_look() {
                return None;
            }
            let text = (self.make)(&self.live.borrow_and_update().clone());
            match text {
                Some(text) => return Some(Event::default().event(self.name).data(text)),
                None if beat => return Some(Event::default().event("beat").data("{}")),
                None => {}
            }
        }
    }

    /// An open page counts as use of its session. Signed out, made inactive or given another role: the stream ends, and the
    /// page asks again.
    fn may_look(&self) -> bool {
        let account = &self.caller.account;
        let signed_in = self.caller.token.as_ref().is_none_or(|token| self.site.sessions.user(token).is_some());
        signed_in && self.caller.needs.account(&account.user).is_some_and(|present| present.role == account.role)
    }
}

type States = BTreeMap<String, (State, String)>;

fn states(live: &Live) -> States {
    let servers = live.status.servers.iter().map(|server| (server.name.clone(), (server.state, server.text.clone())));
    servers.collect()
}

fn announce(before: &States, present: &States) -> String {
    let changed = present.iter().filter(|(name, (state, _))| before.get(*name).is_none_or(|(old, _)| old != state));
    changed.map(|(name, (_, text))| format!("{name}: {text}.")).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_changes_of_state_are_spoken() {
        let at = |state, text: &str| States::from([("pa-1".to_owned(), (state, text.to_owned()))]);
        let ok = at(State::Ok, "Sending");
        assert_eq!(announce(&ok, &at(State::Ok, "Heard 3 s ago")), "");
        assert_eq!(announce(&ok, &at(State::Bad, "Not heard for 3 s")), "pa-1: Not heard for 3 s.");
    }
}
