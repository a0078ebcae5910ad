//! Checks a request's signature as a device does.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use hmac::{Hmac, KeyInit as _, Mac as _};
use md5::{Digest as _, Md5};
use sha2::Sha256;

use super::{
    config::{AlgoConfig, Auth},
    device::Incoming,
};

/// Whether the request may act, or why not. `clock` is the device's own, in Unix seconds.
pub(crate) fn check(config: &AlgoConfig, clock: i64, request: &Incoming) -> Result<(), String> {
    match config.auth {
        Auth::None => Ok(()),
        Auth::Basic => basic(config, request),
        Auth::Standard => standard(config, clock, request),
    }
}

fn basic(config: &AlgoConfig, request: &Incoming) -> Result<(), String> {
    let given =
        request.header("authorization").and_then(|value| value.strip_prefix("Basic ")).ok_or("no Basic header")?;
    let known_user = |user: &str| matches!(user, "admin" | "algo");
    let plain = BASE64.decode(given).ok().and_then(|bytes| String::from_utf8(bytes).ok()).ok_or("not base64")?;
    match plain.split_once(':') {
        Some((user, password)) if known_user(user) && password == config.password => Ok(()),
        _ => Err("wrong user or password".to_owned()),
    }
}

fn standard(config: &AlgoConfig, clock: i64, request: &Incoming) -> Result<(), String> {
    let given = request.header("authorization").ok_or("no Authorization header")?;
    let rest = given.strip_prefix("hmac ").ok_or("the scheme is not hmac")?;
    let [user, nonce, digest] = rest.split(':').collect::<Vec<_>>()[..] else {
        return Err("not user:nonce:digest".to_owned());
    };
    if !matches!(user, "admin" | "algo") {
        return Err(format!("unknown user {user}"));
    }
    if nonce.is_empty() || !nonce.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("the nonce is not digits".to_owned());
    }
    let date = request.header("date").ok_or("no Date header")?;
    let signed = jiff::fmt::rfc2822::DateTimeParser::new()
        .parse_timestamp(date)
        .map_err(|_| format!("`{date}` is not a date"))?
        .as_second();
    if (signed - clock).abs() > config.tolerance_s {
        return Err(format!("signed {} s away from the device's clock", (signed - clock).abs()));
    }
    let text = if request.body.is_empty() {
        format!("{}:{}:{signed}:{nonce}", request.method, request.path)
    } else {
        let md5 = hex(&Md5::digest(&request.body));
        let claimed = request.header("content-md5").ok_or("no Content-MD5 header")?;
        if claimed != md5 {
            return Err("Content-MD5 is not that of the body".to_owned());
        }
        let kind = request.header("content-type").ok_or("no Content-Type header")?;
        format!("{}:{}:{md5}:{kind}:{signed}:{nonce}", request.method, request.path)
    };
    let mut mac = Hmac::<Sha256>::new_from_slice(config.password.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(text.as_bytes());
    if hex(&mac.finalize().into_bytes()) == digest { Ok(()) } else { Err("wrong digest".to_owned()) }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vendor's own printed sample, as far as it is consistent with itself.
    #[test]
    fn the_vendors_sample_is_let_in() {
        let mut request = Incoming {
            method: "POST".to_owned(),
            path: "/api/controls/tone/start".to_owned(),
            headers: [
                (
                    "authorization",
                    "hmac admin:1028014788:c450024af4493f9cdf582499456bf58d7e134b161566e764e61bd52d24f759dc",
                ),
                ("date", "Mon, 28 Sep 2020 17:07:18 GMT"),
                ("content-type", "application/json"),
                ("content-md5", "6e43c05d82f71e77c586e29edb93b129"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
            body: br#"{"path":"page-notif.wav", "loop":false}"#.to_vec(),
        };
        let config = AlgoConfig::new("8301");
        let clock = 1_601_312_838;
        assert_eq!(check(&config, clock, &request), Ok(()));
        assert_eq!(check(&config, clock + 30, &request), Ok(()));
        assert_eq!(check(&config, clock - 31, &request), Err("signed 31 s away from the device's clock".to_owned()));
        let other = AlgoConfig { password: "other".to_owned(), ..config.clone() };
        assert_eq!(check(&other, clock, &request), Err("wrong digest".to_owned()));
        request.body.push(b' ');
        assert_eq!(check(&config, clock, &request), Err("Content-MD5 is not that of the body".to_owned()));
    }
}
