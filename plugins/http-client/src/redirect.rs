//! Where an answer that points elsewhere may lead.

use hyper::{HeaderMap, Method, Uri, header};

use crate::{
    connect::Place,
    error::Cause,
    request::{Redirects, Request},
    shown::shown,
};

/// The request to make next because of this answer; `None` where the answer is the caller's.
pub(crate) fn next(
    request: &Request,
    first_host: &str,
    followed: u8,
    status: u16,
    headers: &HeaderMap,
) -> Result<Option<Request>, Cause> {
    let Redirects::Follow { max, https_only, hosts } = &request.limits.redirects else { return Ok(None) };
    if !matches!(status, 301 | 302 | 303 | 307 | 308) || !matches!(request.method, Method::GET | Method::HEAD) {
        return Ok(None);
    }
    let Some(to) = headers.get(header::LOCATION).and_then(|value| value.to_str().ok()) else { return Ok(None) };
    let no = |why: &str| Cause::Redirect { to: shown(to), why: why.to_owned() };
    if followed >= *max {
        return Err(no(&format!("more than {max} redirects")));
    }
    let from: Uri = request.url.parse().map_err(|_| Cause::BadAddress(shown(&request.url)))?;
    let url = resolve(&from, to).ok_or_else(|| no("not an address"))?;
    let there =
        url.parse::<Uri>().ok().as_ref().and_then(Place::of).ok_or_else(|| no("not an http or https address"))?;
    let here = Place::of(&from).ok_or_else(|| Cause::BadAddress(shown(&request.url)))?;
    if !there.https && (*https_only || here.https) {
        return Err(no("only https is allowed"));
    }
    if let Some(allowed) = hosts
        && there.host != first_host
        && !allowed.iter().any(|host| host.eq_ignore_ascii_case(&there.host))
    {
        return Err(no(&format!("host `{}` is not allowed", there.host)));
    }
    let mut next = Request { url, ..request.clone() };
    let raised = !here.https && there.https && here.host == there.host;
    if here != there && !raised {
        next.headers
            .retain(|(name, _)| !name.eq_ignore_ascii_case("authorization") && !name.eq_ignore_ascii_case("cookie"));
    }
    Ok(Some(next))
}

/// The `Location` value as an absolute address.
fn resolve(from: &Uri, to: &str) -> Option<String> {
    let to = to.split('#').next().unwrap_or_default();
    if to.contains("://") {
        return Some(to.to_owned());
    }
    let scheme = from.scheme_str()?;
    let authority = from.authority()?;
    if let Some(rest) = to.strip_prefix("//") {
        return Some(format!("{scheme}://{rest}"));
    }
    if to.starts_with('/') {
        return Some(format!("{scheme}://{authority}{to}"));
    }
    let folder = from.path().rsplit_once('/').map_or("", |(folder, _)| folder);
    let path = if to.starts_with('?') { format!("{}{to}", from.path()) } else { format!("{folder}/{to}") };
    Some(format!("{scheme}://{authority}{path}"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::request::Limits;

    fn go(from: &str, to: &str, https_only: bool, hosts: Option<&[&str]>) -> Result<Option<Request>, Cause> {
        let hosts = hosts.map(|list| list.iter().map(|host| (*host).to_owned()).collect::<Arc<[String]>>());
        let limits = Limits { redirects: Redirects::Follow { max: 3, https_only, hosts }, ..Limits::default() };
        let request = Request::get(from).header("Authorization", "secret").limits(limits);
        let first = Place::of(&from.parse().unwrap()).unwrap().host;
        let mut headers = HeaderMap::new();
        headers.insert("location", to.parse().unwrap());
        next(&request, &first, 0, 302, &headers)
    }

    #[test]
    fn relative_addresses_are_completed() {
        for (from, to, want) in [
            ("https://a/x/y?q", "/z", "https://a/z"),
            ("https://a:8443/x/y?q", "z", "https://a:8443/x/z"),
            ("https://a/x/y?q", "?r", "https://a/x/y?r"),
            ("https://a/x", "//b/c", "https://b/c"),
            ("http://a/x", "https://a/x#part", "https://a/x"),
        ] {
            assert_eq!(go(from, to, false, None).unwrap().unwrap().url, want);
        }
    }

    #[test]
    fn encryption_is_never_given_up() {
        for https_only in [true, false] {
            let why = go("https://a/x", "http://a/x", https_only, None).unwrap_err();
            assert!(why.to_string().contains("only https"), "{why}");
        }
        assert!(go("http://a/x", "http://a/y", true, None).is_err());
        assert!(go("http://a/x", "http://a/y", false, None).is_ok());
    }

    #[test]
    fn only_listed_hosts_are_visited() {
        assert!(go("https://a/", "https://b/", true, Some(&[])).is_err());
        assert!(go("https://a/", "https://b/", true, Some(&["B"])).is_ok());
        assert!(go("https://a/", "https://a/other", true, Some(&[])).is_ok());
        assert!(go("https://a/", "ftp://a/", true, None).is_err());
    }

    #[test]
    fn credentials_stay_with_the_host_they_were_made_for() {
        assert!(go("https://a/", "https://b/", true, None).unwrap().unwrap().headers.is_empty());
        assert!(go("https://a/", "https://a:8443/", true, None).unwrap().unwrap().headers.is_empty());
        assert_eq!(go("https://a/", "https://a/b", true, None).unwrap().unwrap().headers.len(), 1);
        assert_eq!(go("http://a/", "https://a/", false, None).unwrap().unwrap().headers.len(), 1);
    }
}
