//! A driver that does whatever a bad driver does: its settings say what. It acknowledges everything while it can.

use std::{
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use nix::sys::signal::{Signal, raise};
use onealert_plugin_api::{
    capability,
    document::{Activation, Delivered, DeliveredState, End, Failure},
    driver::{Driver, Never},
    export_plugin,
    host::Host,
};
use schemars::JsonSchema;
use serde::Deserialize;

/// How it misbehaves, and nothing else.
#[derive(Deserialize, JsonSchema)]
struct Settings {
    /// What it does.
    fault: Fault,
}

/// The fault, and when it comes.
#[derive(Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Fault {
    None,
    OpenFails,
    OpenPanics,
    OpenHangs,
    OpenExits,
    BeginSegfaults,
    BeginPanics,
    BeginExits,
    BeginBlocks,
    BeginLeaks,
    BeginPrints,
}

#[derive(Deserialize, JsonSchema)]
struct Endpoint {}

struct Faulty {
    fault: Fault,
    /// Memory that is never given back.
    leaked: Mutex<Vec<Vec<u8>>>,
}

impl Driver for Faulty {
    type Settings = Settings;
    type Endpoint = Endpoint;
    type Trigger = Never;
    const CAPABILITIES: &'static [&'static str] = &[capability::DELIVER];

    #[expect(clippy::disallowed_methods, reason = "what a vendor may do to us")]
    fn open(_: Host, settings: Settings) -> Result<Faulty, Failure> {
        match settings.fault {
            Fault::OpenFails => return Err(Failure::new("refused", "the amplifier at 10.0.0.9 has no licence")),
            Fault::OpenPanics => panic!("the vendor did not expect that"),
            Fault::OpenHangs => forever(),
            Fault::OpenExits => std::process::exit(7),
            _ => {}
        }
        Ok(Faulty { fault: settings.fault, leaked: Mutex::default() })
    }

    #[expect(clippy::disallowed_methods, reason = "what a vendor may do to us")]
    async fn begin(self: Arc<Self>, activation: Activation<Endpoint>) -> Result<Vec<Delivered>, Failure> {
        match self.fault {
            // What a wild pointer comes to, without needing one. Twice, because the Rust runtime takes the first one for a
            // stack overflow, looks, and leaves the second to the system.
            Fault::BeginSegfaults => {
                (0..2).for_each(|_| raise(Signal::SIGSEGV).expect("a process may signal itself"));
            }
            Fault::BeginPanics => panic!("the vendor did not expect that"),
            Fault::BeginExits => std::process::exit(3),
            Fault::BeginBlocks => forever(),
            Fault::BeginLeaks => {
                // Written to, so that the pages are really there.
                let lost = vec![1; 32 << 20];
                self.leaked.lock().unwrap_or_else(PoisonError::into_inner).push(lost);
            }
            Fault::BeginPrints => (0..10_000).for_each(|line| println!("line {line} of a driver that talks too much")),
            _ => {}
        }
        let acked = |endpoint| Delivered { endpoint, state: DeliveredState::Acked { note: "claimed".to_owned() } };
        Ok(activation.endpoints.into_iter().map(|target| acked(target.endpoint)).collect())
    }

    async fn end(self: Arc<Self>, _: End<Endpoint>) -> Result<(), Failure> {
        Ok(())
    }
}

#[expect(clippy::disallowed_methods, reason = "hangs for ever, on purpose")]
fn forever() -> ! {
    loop {
        thread::sleep(Duration::from_secs(3600));
    }
}

export_plugin!(Faulty, id: "org.onealert.faulty", vendor: "OneAlert", name: "Faulty driver");
