//! Styles, script and icons: part of the program, served for ever under a name that changes with their content.

use std::sync::LazyLock;

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use rust_embed::RustEmbed;

use crate::{
    needs::Problem,
    reply::{self, Reply},
    request::Request,
};

/// In debug builds the files are read from the source folder, so a change of style needs no build.
#[derive(RustEmbed)]
#[folder = "assets/"]
struct Assets;

/// Eight digits over all files, for their addresses.
pub fn revision() -> String {
    static AT_START: LazyLock<String> = LazyLock::new(compute);
    if cfg!(debug_assertions) { compute() } else { AT_START.clone() }
}

fn compute() -> String {
    let mut sum = 0u32;
    for name in Assets::iter() {
        let file = Assets::get(&name).expect("the list names files that are there");
        let digest = file.metadata.sha256_hash();
        sum = sum.rotate_left(5) ^ u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]);
    }
    format!("{sum:08x}")
}

/// `/assets/<revision>/<file>`.
pub fn answer(request: &Request) -> Reply {
    let parts = request.parts();
    let (["assets", _, name] | ["assets", name]) = parts[..] else {
        return reply::problem_json(&Problem::not_found("file", &request.path));
    };
    let Some(file) = Assets::get(name) else { return reply::problem_json(&Problem::not_found("file", name)) };
    let content_type = match name.rsplit('.').next() {
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    };
    let body = match file.data {
        std::borrow::Cow::Borrowed(bytes) => Bytes::from_static(bytes),
        std::borrow::Cow::Owned(bytes) => Bytes::from(bytes),
    };
    let mut reply = reply::with_type(StatusCode::OK, content_type, body);
    let keep = if parts.len() == 3 { "public, max-age=31536000, immutable" } else { "no-cache" };
    reply.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static(keep));
    reply
}
