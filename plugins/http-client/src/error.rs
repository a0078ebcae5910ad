//! Why a request did not come to an answer: which host, at which step, because of what.

use std::{fmt, time::Duration};

/// A request that brought no usable answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{host}: {step}: {cause}")]
pub struct HttpError {
    /// `host:port` as it was dialled; the address without login and query where it could not be read.
    pub host: String,
    /// How far it came.
    pub step: Step,
    /// What went wrong there.
    pub cause: Cause,
}

/// The steps of a request, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// Reading the address and the headers.
    Address,
    /// Finding the host and opening the connection.
    Connect,
    /// Agreeing on encryption and checking the certificate.
    Tls,
    /// Handing the request to the connection. The other side has seen nothing of it.
    Send,
    /// The request is on its way or its answer is. The other side may have acted on it.
    Answer,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Step::Address => "address",
            Step::Connect => "connect",
            Step::Tls => "tls",
            Step::Send => "send",
            Step::Answer => "answer",
        })
    }
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    /// The address cannot be read.
    #[error("`{0}` is not an http or https address with a host")]
    BadAddress(String),
    /// A header or the method cannot be sent.
    #[error("header `{0}` cannot be sent")]
    BadHeader(String),
    /// The deadline passed during this step.
    #[error("no answer within {} ms", .0.as_millis())]
    Deadline(Duration),
    /// Nobody listens there.
    #[error("connection refused")]
    Refused,
    /// The name is not known, or the network or the other side failed.
    #[error("{0}")]
    Io(String),
    /// The certificate is not the expected one.
    #[error("certificate {found} is not the pinned {wanted}")]
    WrongCertificate {
        /// SHA-256 of the certificate that was shown.
        found: String,
        /// SHA-256 of the expected one.
        wanted: String,
    },
    /// Encryption failed otherwise; the text of the TLS library.
    #[error("{0}")]
    Tls(String),
    /// What came is not HTTP, or it ended too early.
    #[error("{0}")]
    Protocol(String),
    /// The body is longer than the limit, counted after decompression.
    #[error("body is longer than {0} bytes")]
    TooLong(usize),
    /// The body says it is compressed and cannot be decompressed.
    #[error("body cannot be decompressed: {0}")]
    BadCompression(String),
    /// The answer sends us elsewhere, and the limits do not allow it.
    #[error("redirected to `{to}`: {why}")]
    Redirect {
        /// Where to.
        to: String,
        /// Which rule forbids it.
        why: String,
    },
}

impl HttpError {
    pub(crate) fn new(host: impl Into<String>, step: Step, cause: Cause) -> HttpError {
        HttpError { host: host.into(), step, cause }
    }

    /// Whether the other side cannot have acted on the request, so that sending it again cannot act twice.
    pub fn was_not_sent(&self) -> bool {
        self.step < Step::Answer
    }
}
