//! What an answer says when something was not done: one shape for pages and API (RFC 9457).

use serde::{Deserialize, Serialize};

/// One thing wrong with one field of a form or document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct FieldProblem {
    /// The field as a JSON pointer, such as `/poll_seconds`; empty for the whole.
    pub path: String,
    /// What is wrong and what to do, a sentence for people without the field's name.
    pub message: String,
}

/// Why something was not done. Serialised as `application/problem+json`; pages show title and detail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error, utoipa::ToSchema)]
#[error("{title}: {detail}")]
pub struct Problem {
    /// The HTTP status code.
    pub status: u16,
    /// What kind of problem, a few words.
    pub title: String,
    /// What happened, its effect and what to do, in sentences.
    pub detail: String,
    /// What is wrong with which field.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldProblem>,
    /// Where it can be done: the primary's base URL, when this server is a secondary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary: Option<String>,
}

impl Problem {
    /// A problem with this status, title and detail.
    pub fn new(status: u16, title: impl Into<String>, detail: impl Into<String>) -> Problem {
        Problem { status, title: title.into(), detail: detail.into(), fields: Vec::new(), primary: None }
    }

    /// 400: the request cannot be read.
    pub fn bad_request(detail: impl Into<String>) -> Problem {
        Problem::new(400, "The request cannot be read", detail)
    }

    /// 401: nobody is signed in, or the name and password do not match.
    pub fn unauthorised(detail: impl Into<String>) -> Problem {
        Problem::new(401, "Not signed in", detail)
    }

    /// 403: the user's role does not allow it.
    pub fn forbidden(detail: impl Into<String>) -> Problem {
        Problem::new(403, "Not allowed", detail)
    }

    /// 403: configuration is changed on the primary only.
    pub fn read_only(why: impl Into<String>, primary: Option<String>) -> Problem {
        Problem { primary, ..Problem::new(403, "Configuration is locked on this server", why) }
    }

    /// 404: nothing of that kind has that key.
    pub fn not_found(kind: &str, key: impl std::fmt::Display) -> Problem {
        Problem::new(404, "Not found", format!("There is no {kind} {key}. It may have been deleted."))
    }

    /// 409: somebody else changed the row after it was read.
    pub fn conflict(kind: &str, name: &str) -> Problem {
        let detail = format!(
            "The {kind} \"{name}\" was changed by somebody else after this page was opened. Nothing was saved. Look at the \
             present values, then make your change again."
        );
        Problem::new(409, "Changed by somebody else", detail)
    }

    /// 422: the document was read and some fields are not right.
    pub fn invalid(fields: Vec<FieldProblem>) -> Problem {
        let detail = match fields.len() {
            1 => "One value needs to be corrected. Nothing was saved.".to_owned(),
            n => format!("{n} values need to be corrected. Nothing was saved."),
        };
        Problem { fields, ..Problem::new(422, "Not saved", detail) }
    }

    /// 503: the server cannot do it at present.
    pub fn unavailable(detail: impl Into<String>) -> Problem {
        Problem::new(503, "Not available", detail)
    }

    /// 500: a fault of the server. The log says what; the answer does not.
    pub fn internal() -> Problem {
        Problem::new(500, "Internal error", "The server could not carry this out. The log of this server says why.")
    }
}

impl FieldProblem {
    /// A problem with the field at `path`.
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> FieldProblem {
        FieldProblem { path: path.into(), message: message.into() }
    }
}
