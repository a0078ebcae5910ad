//! Which announcement has which part of a device, what to send when it ends, and what is still owed. No IO.

use std::collections::{BTreeMap, BTreeSet};

use crate::{keep::Volume, plan::Function, wire::Command};

/// Who has what on one device.
#[derive(Debug, Default)]
pub(crate) struct Hold {
    functions: BTreeMap<Function, Held>,
    /// Ends that the device could not be told; it is told when it is back, unless somebody takes the part first.
    owed: BTreeMap<Function, Vec<Command>>,
    volume: Option<Raised>,
}

#[derive(Debug)]
struct Held {
    activation: String,
    stop: Vec<Command>,
}

#[derive(Debug)]
struct Raised {
    volume: Volume,
    /// The activations that still need it; empty when it is to be set back.
    holders: BTreeSet<String>,
}

/// What the end of an announcement asks for at one part of a device.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Release {
    /// Send these.
    Stop(Vec<Command>),
    /// Another announcement has it: leave it alone.
    Other,
    /// Nobody is known to have it, as after a restart.
    Unknown,
}

impl Hold {
    /// A device whose volume may still be raised from before a restart.
    pub(crate) fn new(volume: Option<Volume>) -> Hold {
        let volume = volume.map(|volume| Raised { volume, holders: BTreeSet::new() });
        Hold { volume, ..Hold::default() }
    }

    /// An announcement takes a part; whoever had it has lost it.
    pub(crate) fn take(&mut self, function: Function, activation: &str, stop: Vec<Command>) {
        self.owed.remove(&function);
        self.functions.insert(function, Held { activation: activation.to_owned(), stop });
    }

    /// The device refused: nothing was taken.
    pub(crate) fn untake(&mut self, function: Function, activation: &str) {
        if self.functions.get(&function).is_some_and(|held| held.activation == activation) {
            self.functions.remove(&function);
        }
    }

    /// Whether this announcement has the part.
    pub(crate) fn has(&self, function: Function, activation: &str) -> bool {
        self.functions.get(&function).is_some_and(|held| held.activation == activation)
    }

    /// An announcement ends.
    pub(crate) fn release(&mut self, function: Function, activation: &str) -> Release {
        match self.functions.get(&function) {
            None => Release::Unknown,
            Some(held) if held.activation != activation => Release::Other,
            Some(_) => {
                let held = self.functions.remove(&function).map(|held| held.stop);
                Release::Stop(held.unwrap_or_default())
            }
        }
    }

    /// The end could not be told.
    pub(crate) fn owe(&mut self, function: Function, stop: Vec<Command>) {
        self.owed.insert(function, stop);
    }

    /// What is owed, to be told.
    pub(crate) fn owed(&self) -> Vec<(Function, Vec<Command>)> {
        self.owed.iter().map(|(function, stop)| (*function, stop.clone())).collect()
    }

    /// It has been told.
    pub(crate) fn settled(&mut self, function: Function) {
        self.owed.remove(&function);
    }

    /// The volume to go back to, if it is raised.
    pub(crate) fn volume_before(&self) -> Option<Volume> {
        self.volume.as_ref().map(|raised| raised.volume.clone())
    }

    /// An announcement needs the volume raised. `before` is the volume found on the device, used unless an earlier one is known.
    pub(crate) fn raise(&mut self, activation: &str, before: Volume) {
        let raised = self.volume.get_or_insert(Raised { volume: before, holders: BTreeSet::new() });
        raised.holders.insert(activation.to_owned());
    }

    /// An announcement no longer needs it.
    pub(crate) fn lower(&mut self, activation: &str) {
        if let Some(raised) = &mut self.volume {
            raised.holders.remove(activation);
        }
    }

    /// The volume to be set back, when nobody needs it raised any more.
    pub(crate) fn volume_due(&self) -> Option<Volume> {
        self.volume.as_ref().filter(|raised| raised.holders.is_empty()).map(|raised| raised.volume.clone())
    }

    /// It has been set back.
    pub(crate) fn volume_restored(&mut self) {
        self.volume = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stop() -> Vec<Command> {
        vec![Command::control("strobe/stop", None)]
    }

    fn volume(before: &str) -> Volume {
        Volume { parameter: "audio.page.vol".to_owned(), before: before.to_owned() }
    }

    #[test]
    fn the_end_of_a_replaced_announcement_leaves_the_newer_one_alone() {
        let mut hold = Hold::default();
        hold.take(Function::Strobe, "weather", stop());
        hold.take(Function::Strobe, "lockdown", stop());
        assert_eq!(hold.release(Function::Strobe, "weather"), Release::Other);
        assert_eq!(hold.release(Function::Strobe, "lockdown"), Release::Stop(stop()));
        assert_eq!(hold.release(Function::Strobe, "lockdown"), Release::Unknown);
    }

    #[test]
    fn an_owed_end_is_forgotten_when_somebody_takes_the_part() {
        let mut hold = Hold::default();
        hold.owe(Function::Strobe, stop());
        assert_eq!(hold.owed().len(), 1);
        hold.take(Function::Strobe, "lockdown", stop());
        assert_eq!(hold.owed(), []);
    }

    #[test]
    fn the_volume_goes_back_to_the_first_one_when_the_last_one_ends() {
        let mut hold = Hold::default();
        hold.raise("a", volume("-12dB"));
        hold.raise("b", volume("0dB"));
        hold.lower("a");
        assert_eq!(hold.volume_due(), None);
        hold.lower("b");
        assert_eq!(hold.volume_due(), Some(volume("-12dB")));
        hold.volume_restored();
        assert_eq!(hold.volume_due(), None);
    }

    #[test]
    fn a_volume_raised_before_a_restart_is_not_taken_for_the_usual_one() {
        let mut hold = Hold::new(Some(volume("-12dB")));
        assert_eq!(hold.volume_due(), Some(volume("-12dB")), "due, because the announcement may be over");
        hold.raise("a", volume("0dB"));
        assert_eq!(hold.volume_due(), None);
        assert_eq!(hold.volume_before(), Some(volume("-12dB")));
    }
}
