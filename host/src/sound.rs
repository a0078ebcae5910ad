//! The server's one voice: renders what is said, streams it from one clock, and tells each delivery what became of its
//! stream.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use onealert_core::{
    config::Audio,
    ids::{ActivationId, ServerId},
};
use onealert_media::{
    engine::{Destination, Engine, EngineConfig, EngineError, Interface, StreamEvent, StreamSpec},
    render::{AudioRequest, RenderConfig, Rendered, Renderer, Sound as Piece},
    ssrc::ssrc,
    witness,
};
use onealert_plugin_api::document::RtpDestination;
use tokio::sync::mpsc;

use crate::{payload::Payload, settings::Media};

/// How long a multicast group is listened to before streaming, where another server might be sending (redundancy sheet,
/// section 4.4).
const LISTEN: Duration = Duration::from_millis(60);

/// Where each running stream's events go.
type Routes = Arc<Mutex<BTreeMap<u128, mpsc::UnboundedSender<StreamEvent>>>>;

/// How multicast leaves this server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outlet {
    /// By which interface.
    pub interface: Interface,
    /// To which address, for endpoints that listen to the server's own one.
    pub multicast: Option<Ipv4Addr>,
}

/// The server's one voice.
pub struct Sound {
    engine: Engine,
    renderer: Renderer,
    routes: Routes,
    files: PathBuf,
    outlet: Mutex<Outlet>,
}

impl Sound {
    /// Starts the sender.
    ///
    /// # Errors
    /// The operating system refuses the sender its socket or thread.
    pub fn start(media: &Media, outlet: Outlet, files: &Path) -> Result<Sound, EngineError> {
        let routes: Routes = Arc::default();
        let sink = {
            let routes = routes.clone();
            move |event: StreamEvent| {
                let (id, over) = match &event {
                    StreamEvent::FirstPacket { id, .. } | StreamEvent::DestinationFailed { id, .. } => (*id, false),
                    StreamEvent::Finished { id, .. } => (*id, true),
                };
                let mut routes = routes.lock().unwrap_or_else(PoisonError::into_inner);
                // A delivery that has gone no longer listens; its stream ends by itself.
                if let Some(route) = routes.get(&id) {
                    let _ = route.send(event);
                }
                if over {
                    routes.remove(&id);
                }
            }
        };
        let config = EngineConfig { interface: outlet.interface, multicast_ttl: media.ttl, ..EngineConfig::default() };
        let mut render = RenderConfig::default();
        if !media.speech.is_empty() {
            render.speech_command = media.speech.clone();
        }
        Ok(Sound {
            engine: Engine::start(config, sink)?,
            renderer: Renderer::new(render),
            routes,
            files: files.to_owned(),
            outlet: Mutex::new(outlet),
        })
    }

    /// How multicast leaves at present.
    pub fn outlet(&self) -> Outlet {
        *self.outlet.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets multicast leave this way, from the next stream on.
    pub fn leave_by(&self, outlet: Outlet) {
        *self.outlet.lock().unwrap_or_else(PoisonError::into_inner) = outlet;
        self.engine.leave_by(outlet.interface);
    }

    /// Where a driver's destinations are, with the server's own multicast address where a driver leaves it to the server.
    ///
    /// # Errors
    /// A destination is left to the server, and the server has no multicast address.
    pub fn placed(&self, mut rtp: Vec<RtpDestination>) -> Result<Vec<RtpDestination>, String> {
        let multicast = self.outlet().multicast;
        for open in rtp.iter_mut().filter(|rtp| rtp.address.is_unspecified()) {
            let address = multicast.ok_or("this server has no Multicast IP Address; set it under Local Settings")?;
            open.address = IpAddr::V4(address);
        }
        Ok(rtp)
    }

    /// What an activation sounds like; `None` for one without sound. Blocks: speech takes a moment the first time.
    ///
    /// # Errors
    /// The audio cannot be made; the text says which file, tone or program and why.
    pub fn render(&self, payload: &Payload) -> Result<Option<Arc<Rendered>>, String> {
        let sounds = match &payload.audio {
            Audio::None => return Ok(None),
            Audio::Tone { name } => vec![Piece::Tone(name.clone())],
            Audio::Speech => {
                let text = format!("{}. {}", payload.title, payload.body);
                vec![Piece::Tone("chime".to_owned()), Piece::Speech(text)]
            }
            Audio::File { name } => {
                // A name, never a way out of the folder.
                if Path::new(name).file_name().is_none_or(|last| last != name.as_str()) {
                    return Err(format!("audio file {name:?} is not a file name"));
                }
                vec![Piece::File(self.files.join(name))]
            }
        };
        let request = AudioRequest { sounds, repeats: payload.repeats };
        self.renderer.render(&request).map(Some).map_err(|error| error.to_string())
    }

    /// Starts a stream and gives its events.
    pub fn play(
        &self,
        activation: ActivationId,
        server: ServerId,
        audio: Arc<Rendered>,
        destinations: Vec<Destination>,
    ) -> mpsc::UnboundedReceiver<StreamEvent> {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.routes.lock().unwrap_or_else(PoisonError::into_inner).insert(activation.0, sender);
        let ssrc = ssrc(activation.0, server.0);
        self.engine.play(StreamSpec { id: activation.0, ssrc, audio, destinations, start_at_ms: 0 });
        receiver
    }

    /// Lets a late endpoint join a running stream.
    pub fn join(&self, activation: ActivationId, destination: Destination) {
        self.engine.add_destination(activation.0, destination);
    }

    /// Takes one destination out of a running stream.
    pub fn leave(&self, activation: ActivationId, key: u64) {
        self.engine.remove_destination(activation.0, key);
    }

    /// Ends a stream.
    pub fn stop(&self, activation: ActivationId) {
        self.engine.stop(activation.0);
    }

    /// Of these destinations, the multicast groups on which one of `others` is already sending this activation. Blocks for
    /// the listening time when there is a group to listen to.
    pub fn already_sent(&self, activation: ActivationId, others: &[ServerId], to: &[SocketAddr]) -> Vec<SocketAddr> {
        let groups: Vec<SocketAddrV4> = to
            .iter()
            .filter_map(|address| match address {
                SocketAddr::V4(address) if address.ip().is_multicast() => Some(*address),
                _ => None,
            })
            .collect();
        if groups.is_empty() {
            return Vec::new();
        }
        let theirs: Vec<u32> = others.iter().map(|server| ssrc(activation.0, server.0)).collect();
        let interface = match self.outlet().interface {
            Interface::Address(address) => address,
            Interface::Auto => Ipv4Addr::UNSPECIFIED,
        };
        match witness::listen(&groups, interface, LISTEN) {
            Ok(heard) => heard
                .into_iter()
                .filter(|(_, ssrcs)| ssrcs.iter().any(|ssrc| theirs.contains(ssrc)))
                .map(|(group, _)| SocketAddr::V4(group))
                .collect(),
            Err(error) => {
                // Not being able to listen must not silence an alarm: two streams are bad, none is worse.
                tracing::warn!(%error, "could not listen on the multicast groups before streaming");
                Vec::new()
            }
        }
    }
}

/// The media engine's form of what a driver prepared.
pub fn destination(key: u64, rtp: &RtpDestination) -> Destination {
    use onealert_media::codec::Codec as Media;
    use onealert_plugin_api::document::Codec;
    Destination {
        key,
        addr: SocketAddr::new(rtp.address as IpAddr, rtp.port),
        codec: match rtp.codec {
            Codec::Pcmu => Media::Pcmu,
            Codec::Pcma => Media::Pcma,
            Codec::G722 => Media::G722,
        },
        packet_ms: rtp.packet_ms,
        lead_in_ms: rtp.lead_in_ms,
        dtmf: rtp.dtmf.clone(),
    }
}

/// The names of the audio folder's files, in order.
pub fn files(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.to_lowercase().ends_with(".wav") && !name.starts_with('.'))
        .collect();
    names.sort();
    names
}
