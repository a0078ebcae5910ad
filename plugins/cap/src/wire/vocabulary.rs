//! The closed lists of CAP, with their exact spelling.

use serde::{Deserialize, Serialize};

/// Makes an enum whose words are spelled as its cases, unless a word is given.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($case:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name { $(#[doc = concat!("`", $word, "`")] $case),+ }

        impl $name {
            /// Every word.
            pub const ALL: &'static [$name] = &[$($name::$case),+];

            /// The case of exactly this word.
            pub fn parse(word: &str) -> Option<$name> {
                match word { $($word => Some($name::$case),)+ _ => None }
            }

            /// The word.
            pub fn word(self) -> &'static str {
                match self { $($name::$case => $word),+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.word())
            }
        }
    };
}

words!(
    /// Whether it is meant.
    Status { Actual = "Actual", Exercise = "Exercise", System = "System", Test = "Test", Draft = "Draft" }
);
words!(
    /// What it does to earlier messages.
    MsgType { Alert = "Alert", Update = "Update", Cancel = "Cancel", Ack = "Ack", Error = "Error" }
);
words!(
    /// For whom.
    Scope { Public = "Public", Restricted = "Restricted", Private = "Private" }
);
words!(
    /// What kind of event.
    Category {
        Geo = "Geo", Met = "Met", Safety = "Safety", Security = "Security", Rescue = "Rescue", Fire = "Fire",
        Health = "Health", Env = "Env", Transport = "Transport", Infra = "Infra", Cbrne = "CBRNE", Other = "Other",
    }
);
words!(
    /// What people should do.
    ResponseType {
        Shelter = "Shelter", Evacuate = "Evacuate", Prepare = "Prepare", Execute = "Execute", Avoid = "Avoid",
        Monitor = "Monitor", Assess = "Assess", AllClear = "AllClear", None = "None",
    }
);
words!(
    /// How soon, least first; `Unknown` stands outside the order.
    Urgency { Unknown = "Unknown", Past = "Past", Future = "Future", Expected = "Expected", Immediate = "Immediate" }
);
words!(
    /// How bad, least first; `Unknown` stands outside the order.
    Severity { Unknown = "Unknown", Minor = "Minor", Moderate = "Moderate", Severe = "Severe", Extreme = "Extreme" }
);
words!(
    /// How sure, least first; `Unknown` stands outside the order.
    Certainty { Unknown = "Unknown", Unlikely = "Unlikely", Possible = "Possible", Likely = "Likely", Observed = "Observed" }
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_of_the_standard_is_known_with_its_spelling() {
        let check = |list: &str, parse: &dyn Fn(&str) -> Option<&'static str>| {
            for word in list.split(' ') {
                assert_eq!(parse(word), Some(word));
                assert_eq!(parse(&word.to_uppercase()).filter(|found| *found != word.to_uppercase()), None);
            }
        };
        check("Actual Exercise System Test Draft", &|w| Status::parse(w).map(Status::word));
        check("Alert Update Cancel Ack Error", &|w| MsgType::parse(w).map(MsgType::word));
        check("Public Restricted Private", &|w| Scope::parse(w).map(Scope::word));
        check("Geo Met Safety Security Rescue Fire Health Env Transport Infra CBRNE Other", &|w| {
            Category::parse(w).map(Category::word)
        });
        check("Shelter Evacuate Prepare Execute Avoid Monitor Assess AllClear None", &|w| {
            ResponseType::parse(w).map(ResponseType::word)
        });
        check("Immediate Expected Future Past Unknown", &|w| Urgency::parse(w).map(Urgency::word));
        check("Extreme Severe Moderate Minor Unknown", &|w| Severity::parse(w).map(Severity::word));
        check("Observed Likely Possible Unlikely Unknown", &|w| Certainty::parse(w).map(Certainty::word));
    }

    #[test]
    fn levels_are_ordered_from_least_to_most() {
        assert!(Urgency::Immediate > Urgency::Expected && Urgency::Future > Urgency::Past);
        assert!(Severity::Extreme > Severity::Severe && Severity::Moderate > Severity::Minor);
        assert!(Certainty::Observed > Certainty::Likely && Certainty::Possible > Certainty::Unlikely);
    }
}
