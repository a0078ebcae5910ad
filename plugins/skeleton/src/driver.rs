//! The driver itself: what the server asks, turned into lines.

use std::{
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
    sync::Arc,
};

use onealert_plugin_api::{
    capability,
    document::{
        Activation, Codec, Delivered, DeliveredState, Desired, End, EndpointStatus, Failure, Health, Prepared,
        PreparedState, Probe, Problem, RtpDestination, Target,
    },
    driver::{Driver, Never},
    host::Host,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::journal::Journal;

/// What an administrator sets once. The comments are the help texts of the form.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Settings {
    /// Folder for the files; empty for the driver's own folder on the server.
    pub folder: String,
    /// Whether the announcement's text is written beside its title.
    pub with_text: bool,
    /// Longest line in characters; the rest is cut off. The announcement's number always fits.
    #[schemars(range(min = 60, max = 2000))]
    pub longest_line: Option<u32>,
}

/// Where one endpoint is reached.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Endpoint {
    /// Name of the file, such as lobby.txt.
    #[schemars(length(min = 1, max = 100))]
    pub file: String,
    /// UDP port at which the endpoint hears the sound that the server sends to its Multicast IP Address; empty for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1024, max = 65534))]
    pub audio_port: Option<u16>,
}

impl Endpoint {
    /// Where it hears what has sound. The address is left to the server: each sends to its own.
    fn heard_at(&self, has_audio: bool) -> Vec<RtpDestination> {
        let destination = |port| RtpDestination {
            address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            port,
            codec: Codec::Pcmu,
            packet_ms: 20,
            lead_in_ms: 0,
            dtmf: String::new(),
        };
        self.audio_port.filter(|_| has_audio).map(destination).into_iter().collect()
    }
}

/// A driver whose devices are text files.
pub struct Skeleton {
    settings: Settings,
    journal: Journal,
    host: Host,
}

impl Driver for Skeleton {
    type Settings = Settings;
    type Endpoint = Endpoint;
    type Trigger = Never;

    const CAPABILITIES: &'static [&'static str] = &[
        capability::PREPARE,
        capability::DELIVER,
        capability::UPDATE,
        capability::PROBE,
        capability::SETTINGS_CHECK,
        capability::SELF_TEST,
    ];

    fn open(host: Host, settings: Settings) -> Result<Skeleton, Failure> {
        if let Some(problem) = Skeleton::check(&settings).into_iter().next() {
            return Err(Failure::new("settings", format!("settings: {}: {}", problem.path, problem.message)));
        }
        let folder = match settings.folder.as_str() {
            "" => host.state_dir().to_owned(),
            given => PathBuf::from(given),
        };
        tracing::info!(folder = %folder.display(), "lines are written here");
        Ok(Skeleton { settings, journal: Journal::new(folder), host })
    }

    fn check(settings: &Settings) -> Vec<Problem> {
        // Relative to what, nobody could tell: a driver's current folder is not its own choice.
        let relative = !settings.folder.is_empty() && !settings.folder.starts_with('/');
        let message = || format!("\"{}\" must be a full path such as /var/lib/announcements", settings.folder);
        relative.then(|| Problem { path: "/folder".to_owned(), message: message() }).into_iter().collect()
    }

    async fn desired(self: Arc<Self>, desired: Desired<Endpoint, Never>) -> Result<(), Failure> {
        for target in &desired.endpoints {
            self.host.endpoint_status(self.look(target));
        }
        Ok(())
    }

    async fn prepare(self: Arc<Self>, activation: Activation<Endpoint>) -> Result<Vec<Prepared>, Failure> {
        let prepared = |target: Target<Endpoint>| Prepared {
            endpoint: target.endpoint,
            state: match self.journal.path(&target.address.file) {
                Ok(_) => PreparedState::Ready { rtp: target.address.heard_at(activation.has_audio) },
                Err(reason) => PreparedState::Failed { reason },
            },
        };
        Ok(activation.endpoints.into_iter().map(prepared).collect())
    }

    async fn begin(self: Arc<Self>, activation: Activation<Endpoint>) -> Result<Vec<Delivered>, Failure> {
        let line = self.line("begin", &activation);
        let mut delivered = Vec::with_capacity(activation.endpoints.len());
        for target in activation.endpoints {
            let state = match self.journal.write_once(&target.address.file, &line).await {
                Ok(true) => DeliveredState::Acked { note: format!("line added to {}", target.address.file) },
                Ok(false) => DeliveredState::Acked { note: format!("line is in {} already", target.address.file) },
                Err(reason) => DeliveredState::Failed { reason },
            };
            delivered.push(Delivered { endpoint: target.endpoint, state });
        }
        Ok(delivered)
    }

    async fn update(self: Arc<Self>, activation: Activation<Endpoint>) -> Result<(), Failure> {
        let line = self.line("update", &activation);
        self.write_all(&activation.endpoints, &line).await
    }

    async fn end(self: Arc<Self>, end: End<Endpoint>) -> Result<(), Failure> {
        let line = self.cut(format!("end {} {}", end.id, end.reason));
        self.write_all(&end.endpoints, &line).await
    }

    async fn probe(self: Arc<Self>, probe: Probe<Endpoint>) -> Result<Vec<EndpointStatus>, Failure> {
        Ok(probe.endpoints.iter().map(|target| self.look(target)).collect())
    }

    async fn self_test(self: Arc<Self>) -> Result<(), Failure> {
        let folder = self.journal.folder();
        let made = tokio::fs::create_dir_all(folder).await;
        made.map_err(|error| Failure::new("refused", format!("folder {}: {error}", folder.display())))
    }
}

impl Skeleton {
    fn line(&self, word: &str, activation: &Activation<Endpoint>) -> String {
        let mut line = format!("{word} {} {}", activation.id, activation.title);
        if self.settings.with_text {
            line = format!("{line}: {}", activation.body);
        }
        self.cut(line)
    }

    /// One line, of the length that the settings allow.
    fn cut(&self, text: String) -> String {
        let longest = self.settings.longest_line.unwrap_or(2000) as usize;
        text.chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .take(longest)
            .collect::<String>()
            .trim_end()
            .to_owned()
    }

    /// Every file gets the line, even when another one fails; the first failure is told.
    async fn write_all(&self, targets: &[Target<Endpoint>], line: &str) -> Result<(), Failure> {
        let mut outcome = Ok(());
        for target in targets {
            if let Err(reason) = self.journal.write_once(&target.address.file, line).await {
                outcome = outcome.and(Err(Failure::new("refused", format!("{}: {reason}", target.name))));
            }
        }
        outcome
    }

    fn look(&self, target: &Target<Endpoint>) -> EndpointStatus {
        let (health, detail) = match self.journal.path(&target.address.file) {
            Ok(path) => (Health::Ok, format!("writes to {}", path.display())),
            Err(reason) => (Health::Error, reason),
        };
        EndpointStatus { endpoint: target.endpoint.clone(), health, detail }
    }
}
