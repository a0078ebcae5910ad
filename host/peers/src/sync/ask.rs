//! What servers say to each other beside synchronisation: around a promotion where they stand and whom they follow, and driver
//! files that a server lacks.
//!
//! A secondary that is promoted is known to the others and is heard because of its certificate. A server that was restored
//! from a backup has a certificate of the site and stands in nobody's configuration: an administrator's login, checked by
//! each server against its own copy, lets it in.

use std::{
    io::Read,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use onealert_core::{
    lineage::Generation,
    promotion::Told,
    replicate::{SyncAnswer, SyncHello},
};
use tokio_rustls::TlsConnector;

use super::{
    PROTOCOL, blocking,
    channel::{self, Incoming, PIECE_BYTES, Receiver, Sender},
    message::{Down, Login, Purpose, Up},
    publisher::PublisherConfig,
};
use crate::{
    files,
    identity::{self, Identity},
    mesh::PeerAddress,
    net,
    roster::{Admission, Roster},
    socket,
    tls::{self, Caller},
};

/// A server that does not answer within this time counts as not reachable.
const ANSWER: Duration = Duration::from_secs(5);
/// A file that has not come within this time is asked of the next server.
const FILE: Duration = Duration::from_secs(60);

/// Who asks.
#[derive(Clone)]
pub struct Asker {
    /// Its key and certificate.
    pub identity: Arc<Identity>,
    /// Who may answer.
    pub roster: Arc<Roster>,
    /// What it says of itself.
    pub hello: SyncHello,
    /// The login, where its certificate alone is not enough.
    pub login: Option<Login>,
    /// The heartbeat interval.
    pub heartbeat: Duration,
}

impl Asker {
    /// Asks a server where it stands.
    ///
    /// # Errors
    /// It cannot be reached or does not let this server in; the text says which.
    pub async fn ask(&self, peer: &PeerAddress) -> Result<Told, String> {
        let conversation = async {
            let (_sender, mut receiver) = self.call(peer).await?;
            told(&mut receiver).await
        };
        tokio::time::timeout(ANSWER, conversation).await.unwrap_or_else(|_| Err("no answer".to_owned()))
    }

    /// Tells a server that this one is the primary of `generation`. Returns whether it follows.
    ///
    /// # Errors
    /// As [`Asker::ask`].
    pub async fn announce(&self, peer: &PeerAddress, generation: &Generation) -> Result<bool, String> {
        let conversation = async {
            let (mut sender, mut receiver) = self.call(peer).await?;
            told(&mut receiver).await?;
            let follow = Up::Follow(Box::new(generation.clone()));
            sender.send(&follow).await.map_err(|error| error.to_string())?;
            loop {
                match receiver.next::<Down>().await.map_err(|error| error.to_string())? {
                    Incoming::Document(Down::Noted(follows), _) => return Ok(follows),
                    Incoming::Unknown(_) => {}
                    _ => return Err("what it says is not an answer".to_owned()),
                }
            }
        };
        tokio::time::timeout(ANSWER, conversation).await.unwrap_or_else(|_| Err("no answer".to_owned()))
    }

    /// Fetches a driver file from any server that has it. It bears the name `into` only once it is whole and its SHA-256 is
    /// right.
    ///
    /// # Errors
    /// As [`Asker::ask`]; or it does not have the file, or something else came.
    pub async fn fetch(&self, peer: &PeerAddress, sha256: &str, into: &Path) -> Result<PathBuf, String> {
        let conversation = async {
            let (mut sender, mut receiver) = self.call(peer).await?;
            told(&mut receiver).await?;
            let want = Up::WantFile { request: 0, sha256: sha256.to_owned() };
            sender.send(&want).await.map_err(|error| error.to_string())?;
            let mut coming: Option<files::Incoming> = None;
            loop {
                let next = receiver.next::<Down>().await.map_err(|error| error.to_string())?;
                let file = match (next, coming.take()) {
                    (Incoming::Document(Down::FileBegin { length, .. }, _), None) => {
                        let (sha256, into) = (sha256.to_owned(), into.to_owned());
                        blocking(move || files::Incoming::begin(&sha256, &into, length)).await
                    }
                    (Incoming::File(_, bytes), Some(mut file)) => {
                        blocking(move || file.take(&bytes).map(|()| file)).await
                    }
                    (Incoming::Unknown(_), held) => {
                        coming = held;
                        continue;
                    }
                    (Incoming::Document(Down::FileMissing { reason, .. }, _), _) => return Err(reason),
                    _ => return Err("what it says is not an answer".to_owned()),
                };
                let file = file.map_err(|error| error.to_string())?;
                if file.is_whole() {
                    return blocking(move || file.finish()).await.map_err(|error| error.to_string());
                }
                coming = Some(file);
            }
        };
        tokio::time::timeout(FILE, conversation).await.unwrap_or_else(|_| Err("it did not come in time".to_owned()))
    }

    async fn call(&self, peer: &PeerAddress) -> Result<(Sender, Receiver), String> {
        let (mut sender, receiver) = connect(&self.identity, &self.roster, peer, self.heartbeat).await?;
        let hello = Up::Hello {
            hello: Box::new(self.hello.clone()),
            protocol: PROTOCOL,
            credit: 0,
            purpose: Purpose::Ask,
            login: self.login.clone(),
        };
        sender.send(&hello).await.map_err(|error| error.to_string())?;
        Ok((sender, receiver))
    }
}

async fn told(receiver: &mut Receiver) -> Result<Told, String> {
    loop {
        match receiver.next::<Down>().await.map_err(|error| error.to_string())? {
            Incoming::Document(Down::Told(told), _) => return Ok(*told),
            Incoming::Document(Down::Answer { answer, .. }, _) => {
                if let SyncAnswer::VersionMismatch { verdict } = *answer {
                    return Err(format!("it says of the two versions: {verdict}"));
                }
                return Err("it does not know this server, and the login is not that of an administrator".to_owned());
            }
            Incoming::Unknown(_) => {}
            _ => return Err("what it says is not an answer".to_owned()),
        }
    }
}

/// Opens a synchronisation connection to a peer and checks who answers.
pub(crate) async fn connect(
    identity: &Identity,
    roster: &Roster,
    peer: &PeerAddress,
    heartbeat: Duration,
) -> Result<(Sender, Receiver), String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let stream = socket::connect(&peer.address, Duration::from_secs(2)).await.map_err(|error| text(&error))?;
    net::tune(&stream, heartbeat * 10).map_err(|error| text(&error))?;
    let connector = TlsConnector::from(tls::caller_config(identity, tls::SYNC).map_err(|error| text(&error))?);
    let stream = connector.connect(identity::server_name(peer.id), stream).await.map_err(|error| text(&error))?;
    let caller = Caller::of(stream.get_ref().1.peer_certificates());
    let caller = caller.ok_or_else(|| Admission::OtherName.to_string())?;
    match roster.judge(peer.id, &caller.key_sha256) {
        Admission::Welcome => Ok(channel::open(stream.into())),
        refused => Err(refused.to_string()),
    }
}

/// The called side: says where it stands, takes a new primary if it is told of one, and gives driver files. Returns why it
/// ended.
pub(crate) async fn serve(config: &PublisherConfig, mut sender: Sender, mut receiver: Receiver) -> String {
    let host = config.host.clone();
    let told = match blocking(move || host.told()).await {
        Ok(Some(told)) => told,
        Ok(None) => return "this server does not say where it stands".to_owned(),
        Err(error) => return error.to_string(),
    };
    if let Err(error) = sender.send(&Down::Told(Box::new(told))).await {
        return error.to_string();
    }
    while let Ok(Ok(message)) = tokio::time::timeout(ANSWER, receiver.next::<Up>()).await {
        let answered = match message {
            Incoming::Document(Up::Follow(generation), _) => {
                let host = config.host.clone();
                let follows = blocking(move || host.follow(&generation)).await;
                sender.send(&Down::Noted(follows)).await.map(drop).map_err(|error| error.to_string())
            }
            Incoming::Document(Up::WantFile { request, sha256 }, _) => give(config, &mut sender, request, sha256).await,
            _ => Ok(()),
        };
        if let Err(error) = answered {
            return error;
        }
    }
    "asked".to_owned()
}

/// Sends a driver file in pieces.
async fn give(config: &PublisherConfig, sender: &mut Sender, request: u32, sha256: String) -> Result<(), String> {
    let host = config.host.clone();
    let opened = blocking(move || {
        let path = files::is_name(&sha256).then(|| host.driver_file(&sha256)).flatten();
        let file =
            std::fs::File::open(path.ok_or("this server does not have it")?).map_err(|error| error.to_string())?;
        let length = file.metadata().map_err(|error| error.to_string())?.len();
        Ok::<_, String>((file, length))
    });
    let (mut file, length) = match opened.await {
        Ok(opened) => opened,
        Err(reason) => {
            let missing = Down::FileMissing { request, reason };
            return sender.send(&missing).await.map(drop).map_err(|error| error.to_string());
        }
    };
    sender.send(&Down::FileBegin { request, length }).await.map_err(|error| error.to_string())?;
    loop {
        let (rest, piece) = blocking(move || {
            let mut piece = Vec::with_capacity(PIECE_BYTES);
            // Room for the request's number in the frame.
            let read = file.by_ref().take(PIECE_BYTES as u64 - 4).read_to_end(&mut piece);
            (file, read.map(|_| piece))
        })
        .await;
        file = rest;
        let piece = piece.map_err(|error| error.to_string())?;
        if piece.is_empty() {
            return Ok(());
        }
        let sent = tokio::time::timeout(FILE, sender.send_file(request, &piece)).await;
        sent.map_err(|_| "it takes nothing".to_owned())?.map_err(|error| error.to_string())?;
    }
}
