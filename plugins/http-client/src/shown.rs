//! Addresses as they may be printed.

/// An address without what may be secret in it: no login, and nothing from the question mark on.
pub fn shown(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    format!("{scheme}://{host}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_login_nor_query_is_left() {
        for (whole, part) in [
            ("https://ann:pa55@host:8443/a@b/c?token=x#y", "https://host:8443/a@b/c"),
            ("http://ann:p@ss@host", "http://host"),
            ("http://host?token=x", "http://host"),
            ("host/a?token=x", "host/a"),
            ("", ""),
        ] {
            assert_eq!(shown(whole), part);
        }
    }
}
