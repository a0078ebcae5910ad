//! The trait that a vendor implements, and what it is given to work with.

use std::{future::Future, sync::Arc};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    document::{
        Activation, Delivered, Desired, End, EndpointStatus, Failure, HttpRequest, HttpResponse, Prepared, Probe,
        Problem,
    },
    host::Host,
};

/// For a driver without endpoints or without triggers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Never {}

/// A device driver.
///
/// Each method but [`Driver::open`] is a task of its own on the driver's runtime; several run at once. None may block a
/// thread: use `tokio::task::spawn_blocking` for that. A panic becomes an error reply and the driver lives on. Implement
/// the methods whose words stand in [`Driver::CAPABILITIES`]; the host never calls the others.
pub trait Driver: Sized + Send + Sync + 'static {
    /// What an administrator sets once for the driver. Doc comments become the form's help texts.
    type Settings: DeserializeOwned + JsonSchema + Send + 'static;
    /// Where and how one endpoint is reached; [`Never`] for a driver without endpoints.
    type Endpoint: DeserializeOwned + JsonSchema + Send + Sync + 'static;
    /// What one trigger watches for; [`Never`] for a driver without triggers.
    type Trigger: DeserializeOwned + JsonSchema + Send + Sync + 'static;

    /// Which operations it offers: words from [`crate::capability`].
    const CAPABILITIES: &'static [&'static str];

    /// Makes the driver. Called once, on the driver's runtime; must return at once: connect in a spawned task.
    ///
    /// # Errors
    /// The settings make no sense together. The text is shown beside the form.
    fn open(host: Host, settings: Self::Settings) -> Result<Self, Failure>;

    /// Takes the whole of what to look after; replaces what was given before.
    fn desired(
        self: Arc<Self>,
        desired: Desired<Self::Endpoint, Self::Trigger>,
    ) -> impl Future<Output = Result<(), Failure>> + Send {
        let _ = desired;
        async { Ok(()) }
    }

    /// Says for each endpoint whether it can be sent to and where its audio goes. The host waits 300 ms; an endpoint that
    /// is not answered for by then joins late. Answer from what is known; do not ask the device unless you must.
    fn prepare(
        self: Arc<Self>,
        activation: Activation<Self::Endpoint>,
    ) -> impl Future<Output = Result<Vec<Prepared>, Failure>> + Send {
        let _ = activation;
        async { Err(unsupported("prepare")) }
    }

    /// Shows, sounds and switches, and says for every endpoint how it went. Called when the audio of these endpoints has
    /// begun, or at once for endpoints without. Results known early go out by [`Host::delivered`]; the answer holds the
    /// rest. The same activation may come again with other endpoints, or again with the same ones after a restart.
    fn begin(
        self: Arc<Self>,
        activation: Activation<Self::Endpoint>,
    ) -> impl Future<Output = Result<Vec<Delivered>, Failure>> + Send {
        let _ = activation;
        async { Err(unsupported("begin")) }
    }

    /// The text of a running activation changed.
    fn update(
        self: Arc<Self>,
        activation: Activation<Self::Endpoint>,
    ) -> impl Future<Output = Result<(), Failure>> + Send {
        let _ = activation;
        async { Err(unsupported("update")) }
    }

    /// The activation is over: switch off what `begin` switched on. It may have been another process that did, of this server
    /// before it was started again or of another server, and another server may end it too: what is not known here is
    /// switched off all the same, and what is off already is no failure.
    fn end(self: Arc<Self>, end: End<Self::Endpoint>) -> impl Future<Output = Result<(), Failure>> + Send {
        let _ = end;
        async { Err(unsupported("end")) }
    }

    /// Looks at endpoints now.
    fn probe(
        self: Arc<Self>,
        probe: Probe<Self::Endpoint>,
    ) -> impl Future<Output = Result<Vec<EndpointStatus>, Failure>> + Send {
        let _ = probe;
        async { Err(unsupported("probe")) }
    }

    /// Answers a request that came to our server under the driver's path.
    fn http(self: Arc<Self>, request: HttpRequest) -> impl Future<Output = Result<HttpResponse, Failure>> + Send {
        let _ = request;
        async { Err(unsupported("http")) }
    }

    /// Judges settings that are not in use yet, beyond what the schema says. Needs no running driver.
    fn check(settings: &Self::Settings) -> Vec<Problem> {
        let _ = settings;
        Vec::new()
    }

    /// Turns settings that version `from` wrote into today's form. Needs no running driver.
    ///
    /// # Errors
    /// They cannot be turned; the text says what the administrator has to enter again.
    fn migrate(from: &str, settings: Value) -> Result<Value, Failure> {
        let _ = from;
        Ok(settings)
    }

    /// A short look at itself before calls are routed to it.
    fn self_test(self: Arc<Self>) -> impl Future<Output = Result<(), Failure>> + Send {
        async { Ok(()) }
    }
}

fn unsupported(op: &str) -> Failure {
    Failure::new("unsupported", format!("this driver does not offer {op}"))
}
