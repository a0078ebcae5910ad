//! Feeds and single alerts that are asked for at intervals. That an alert is no longer listed says nothing; only a message
//! ends a message.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use http_client::{Limits, Redirects, Request, Response};
use tokio::{task::JoinSet, time::Instant};

use super::{Engine, post::charset};
use crate::{
    source::{Address, Source},
    wire::{self, BODY_BYTES, Document, Entry, Hint, time},
};

/// Least interval, in seconds: more often nobody likes to be asked.
const FLOOR_SECONDS: u32 = 15;
/// Longest answer of a feed, after decompression.
const FEED_BYTES: usize = 4 << 20;
/// Longest that one request may take.
const DEADLINE: Duration = Duration::from_secs(10);
/// Longest pause that failures lead to: an alarm that comes late is better than none, one that comes early is better still.
const LONGEST: Duration = Duration::from_secs(300);
/// Longest pause that a server may ask for.
const LONGEST_ASKED: Duration = Duration::from_secs(900);
/// Links that are fetched at once.
const AT_ONCE: usize = 8;
/// Links that are fetched in one round.
const LINKS: usize = 200;
/// Most links remembered as fetched.
const REMEMBERED: usize = 10_000;
/// How far back a feed that takes a time is asked, beyond the last success.
const OVERLAP_MS: i64 = 30 * 60_000;

/// One address and what is known of it.
struct Feed {
    engine: Arc<Engine>,
    source: Source,
    address: Address,
    etag: Option<String>,
    last_modified: Option<String>,
    /// Links that were fetched, with the entry's own time of change.
    fetched: HashMap<String, String>,
    /// Entries that were complained about.
    complained: HashSet<String>,
    failures: u32,
    last_success: Instant,
    last_success_ms: Option<i64>,
    told_stale: bool,
    generation: u64,
}

/// Why a poll brought nothing.
struct Failed {
    reason: String,
    /// How long the server asks to be left alone.
    wait: Option<Duration>,
}

/// Polls an address, for ever.
pub async fn poll(engine: Arc<Engine>, address: Address) {
    let mut feed = Feed {
        source: Source::Address(address.clone()),
        address,
        etag: None,
        last_modified: None,
        fetched: HashMap::new(),
        complained: HashSet::new(),
        failures: 0,
        last_success: Instant::now(),
        last_success_ms: None,
        told_stale: false,
        generation: engine.generation(),
        engine,
    };
    loop {
        // Made before asking: a change of the triggers during the poll is not missed.
        let engine = feed.engine.clone();
        let changed = engine.changed.notified();
        let pause = feed.once().await;
        tokio::select! {
            () = changed => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

impl Feed {
    fn interval(&self) -> Duration {
        let seconds = self.engine.triggers_of(&self.source).iter().map(|it| it.rules.settings.poll_seconds).min();
        self.engine.pace.poll_second * seconds.unwrap_or(60).max(FLOOR_SECONDS)
    }

    /// Asks once. Gives how long to wait.
    async fn once(&mut self) -> Duration {
        let generation = self.engine.generation();
        if generation != self.generation {
            // A trigger that changed has to see what the feed holds, although the feed did not change.
            self.generation = generation;
            self.etag = None;
            self.last_modified = None;
            self.fetched.clear();
        }
        let interval = self.interval();
        match self.ask().await {
            Ok(fresh_for) => {
                self.succeeded();
                // A server that says how long its answer is good for is not asked before, within reason.
                interval.max(fresh_for.min(interval * 2))
            }
            Err(failed) => {
                self.failed(&failed, interval);
                let doubled = interval * 2_u32.saturating_pow(self.failures.min(10));
                failed.wait.map_or(doubled.min(LONGEST.max(interval)), |wait| wait.min(LONGEST_ASKED).max(interval))
            }
        }
    }

    fn succeeded(&mut self) {
        if self.failures > 0 {
            self.engine.note_source(&self.source, "reachable", "the feed answers again");
        }
        self.failures = 0;
        self.told_stale = false;
        self.last_success = Instant::now();
        self.last_success_ms = Some(self.engine.now());
    }

    fn failed(&mut self, failed: &Failed, interval: Duration) {
        self.failures = self.failures.saturating_add(1);
        tracing::warn!(source = %self.source, failures = self.failures, reason = failed.reason, "the feed did not answer");
        if self.failures == 1 {
            let reason = format!("no alerts can come from here until it answers again: {}", failed.reason);
            self.engine.note_source(&self.source, "unreachable", &reason);
        }
        let silent = self.last_success.elapsed();
        if !self.told_stale && silent > Duration::from_secs(600).max(interval * 5) {
            self.told_stale = true;
            let reason = format!("nothing was heard for {} minutes: {}", silent.as_secs() / 60, failed.reason);
            self.engine.note_source(&self.source, "stale", &reason);
        }
    }

    fn request(&self, url: &str, body_bytes: usize) -> Request {
        let contact = self.engine.settings.contact.trim();
        let contact = if contact.is_empty() { String::new() } else { format!(" ({contact})") };
        let https_only = url.starts_with("https:");
        // Redirects stay on the host that the administrator named.
        let redirects = Redirects::Follow { max: 3, https_only, hosts: Some(Arc::from(Vec::new())) };
        let accept = if url.starts_with("https://api.weather.gov/") {
            "application/geo+json"
        } else {
            "application/cap+xml, application/geo+json, application/atom+xml, application/rss+xml;q=0.9, application/xml;q=0.8, \
             */*;q=0.1"
        };
        let mut request = Request::get(url);
        // Only the feed's own host is shown the login.
        let own = parts(url).is_some_and(|there| parts(&self.address.to_string()) == Some(there));
        if let Some(login) = self.address.authorization().filter(|_| own) {
            request = request.header("authorization", login);
        }
        request
            .header("user-agent", format!("OneAlert/{}{contact}", env!("CARGO_PKG_VERSION")))
            .header("accept", accept)
            .header("accept-encoding", "gzip")
            .limits(Limits { deadline: DEADLINE, body_bytes, redirects, ..Limits::default() })
    }

    /// Asks for the feed and deals with what is in it. Gives how long the answer is good for.
    async fn ask(&mut self) -> Result<Duration, Failed> {
        let since = self.last_success_ms.unwrap_or_else(|| self.engine.now()) - OVERLAP_MS;
        let url = self.address.whole(&time::canonical(since));
        let mut request = self.request(&url, FEED_BYTES);
        if let Some(etag) = &self.etag {
            request = request.header("if-none-match", etag.as_str());
        }
        if let Some(date) = &self.last_modified {
            request = request.header("if-modified-since", date.as_str());
        }
        let failed = |reason: String| Failed { reason, wait: None };
        let response = self.engine.client.send(request).await.map_err(|error| failed(error.to_string()))?;
        let fresh_for = max_age(&response);
        match response.status {
            304 => return Ok(fresh_for),
            200 => {}
            status => {
                let wait = response.header("retry-after").and_then(|text| text.trim().parse().ok());
                let reason = format!("it answered {status} instead of an alert or a feed");
                return Err(Failed { reason, wait: wait.map(Duration::from_secs) });
            }
        }
        let document = read(&response).map_err(failed)?;
        self.engine.take(&self.source, &document.messages, false, |_| {}).await;
        let complete = self.follow(&document.entries, &response.url).await;
        // With a link left over the feed must be read again in full, although it has not changed.
        let header = |name: &str| response.header(name).filter(|_| complete).map(str::to_owned);
        self.etag = header("etag");
        self.last_modified = header("last-modified");
        Ok(fresh_for)
    }

    /// Fetches the alerts that a feed links to. Says whether all of them came.
    async fn follow(&mut self, entries: &[Entry], base: &str) -> bool {
        let mut wanted: Vec<(String, String)> = Vec::new();
        for entry in entries.iter().filter(|entry| !entry.embedded) {
            if entry.link.is_empty() {
                self.complain(&entry.id, "the entry has neither an alert nor a link to one");
                continue;
            }
            let link = resolve(base, &entry.link);
            if let Err(reason) = self.may_follow(base, &link) {
                self.complain(&link, &reason);
                continue;
            }
            let known = self.fetched.get(&link).is_some_and(|updated| *updated == entry.updated);
            // Many entries may link to one document.
            if !known && !wanted.iter().any(|(other, _)| *other == link) {
                wanted.push((link, entry.updated.clone()));
            }
        }
        let mut complete = wanted.len() <= LINKS;
        wanted.truncate(LINKS);
        for chunk in wanted.chunks(AT_ONCE) {
            let mut fetches = JoinSet::new();
            for (link, updated) in chunk {
                let (link, updated) = (link.clone(), updated.clone());
                let request = self.request(&link, BODY_BYTES);
                let client = self.engine.client.clone();
                fetches.spawn(async move {
                    let answer = match client.send(request).await {
                        Ok(answer) if answer.status == 200 => read(&answer).map_err(|reason| (reason, true)),
                        // What is gone stays gone; anything else is worth another try.
                        Ok(answer) => {
                            Err((format!("it answered {}", answer.status), matches!(answer.status, 404 | 410)))
                        }
                        Err(error) => Err((error.to_string(), false)),
                    };
                    (link, updated, answer)
                });
            }
            let mut messages = Vec::new();
            while let Some(fetched) = fetches.join_next().await {
                let Ok((link, updated, answer)) = fetched else {
                    complete = false;
                    continue;
                };
                let done = match answer {
                    Ok(document) => {
                        if document.messages.is_empty() {
                            self.complain(&link, "there is no alert at the end of the link");
                        }
                        messages.extend(document.messages);
                        true
                    }
                    Err((reason, for_good)) => {
                        self.complain(&link, &reason);
                        for_good
                    }
                };
                complete &= done;
                if done {
                    self.fetched.insert(link, updated);
                }
            }
            self.engine.take(&self.source, &messages, false, |_| {}).await;
        }
        if self.fetched.len() > REMEMBERED {
            let listed: HashSet<String> = entries.iter().map(|entry| resolve(base, &entry.link)).collect();
            self.fetched.retain(|link, _| listed.contains(link));
        }
        complete
    }

    /// Records what is wrong with an entry or a link, once. A link's query may hold what the feed's own does.
    fn complain(&mut self, subject: &str, reason: &str) {
        if self.complained.len() > REMEMBERED {
            self.complained.clear();
        }
        if self.complained.insert(format!("{subject} {reason}")) {
            let shown = if subject.contains("://") { http_client::shown(subject) } else { subject.to_owned() };
            for trigger in self.engine.triggers_of(&self.source) {
                self.engine.note(&shown, &trigger.key, "refused", reason);
            }
        }
    }

    /// A link leads to the feed's own host or to one that the administrator allowed, and never from https to http.
    fn may_follow(&self, base: &str, link: &str) -> Result<(), String> {
        let (Some((base_scheme, base_host)), Some((scheme, host))) = (parts(base), parts(link)) else {
            return Err("the link cannot be read".to_owned());
        };
        if !(scheme == "https" || scheme == "http" && base_scheme == "http") {
            return Err(format!("the link leads from {base_scheme} to {scheme}, which is not followed"));
        }
        let name = |host: &str| host.rsplit_once(':').map_or(host.to_owned(), |(name, _)| name.to_owned());
        let allowed = |listed: &String| listed.trim().eq_ignore_ascii_case(&name(&host));
        if host == base_host || self.engine.settings.link_hosts.iter().any(allowed) {
            return Ok(());
        }
        Err(format!("the link leads to {host}, which is neither the feed's host nor allowed in the driver's settings"))
    }
}

fn read(response: &Response) -> Result<Document, String> {
    let charset = response.header("content-type").and_then(charset);
    wire::read(&response.body, Hint { charset }).map_err(|refusal| refusal.to_string())
}

fn max_age(response: &Response) -> Duration {
    let control = response.header("cache-control").unwrap_or_default();
    let seconds = control.split(',').find_map(|part| part.trim().strip_prefix("max-age=")?.parse().ok());
    Duration::from_secs(seconds.unwrap_or(0))
}

/// Scheme and host with port, in lower case; nothing for an address with a login in it.
fn parts(url: &str) -> Option<(String, String)> {
    let (scheme, rest) = url.split_once("://")?;
    let host = rest.split(['/', '?', '#']).next()?;
    (!host.is_empty() && !host.contains('@')).then(|| (scheme.to_ascii_lowercase(), host.to_ascii_lowercase()))
}

/// A link as it is meant on the page where it stands.
fn resolve(base: &str, link: &str) -> String {
    let link = link.trim();
    if link.contains("://") {
        return link.to_owned();
    }
    let Some((scheme, rest)) = base.split_once("://") else { return link.to_owned() };
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let host = rest.split('/').next().unwrap_or_default();
    if let Some(other) = link.strip_prefix("//") {
        return format!("{scheme}://{other}");
    }
    if link.starts_with('/') {
        return format!("{scheme}://{host}{link}");
    }
    let folder = rest.rfind('/').map_or(host, |end| &rest[..end]);
    format!("{scheme}://{folder}/{link}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_meant_as_on_a_web_page() {
        let base = "https://example.org/feeds/all.atom?x=/y";
        assert_eq!(resolve(base, "one.cap"), "https://example.org/feeds/one.cap");
        assert_eq!(resolve(base, "/one.cap"), "https://example.org/one.cap");
        assert_eq!(resolve(base, "//other.org/one.cap"), "https://other.org/one.cap");
        assert_eq!(resolve(base, "http://other.org/one.cap"), "http://other.org/one.cap");
        assert_eq!(resolve("https://example.org", "one.cap"), "https://example.org/one.cap");
        assert_eq!(parts("https://Example.org:8443/x"), Some(("https".to_owned(), "example.org:8443".to_owned())));
        assert_eq!(parts("https://user@example.org/"), None);
    }
}
