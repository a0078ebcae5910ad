//! Which Algo models there are, what each can do, and from which firmware on.

use std::{fmt, str::FromStr};

use crate::reason::Reason;

/// A group of models with an ability in common, as the vendor's guide divides them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Speakers and displays with a speaker.
    Speaker,
    /// Paging adapters.
    Adapter,
    /// Visual alerters.
    Visual,
    /// Devices with a strobe.
    Strobe,
    /// Devices with a screen.
    Display,
    /// Intercoms.
    Intercom,
    /// Door controllers.
    Controller,
}

impl Family {
    /// The family's models.
    pub const fn models(self) -> &'static [&'static str] {
        match self {
            Family::Speaker => &[
                "8180", "8186", "8188", "8189", "8190", "8190S", "8196", "8197", "8198", "8199", "8507", "8516",
                "8410", "8420",
            ],
            Family::Adapter => &["8301", "8305", "8312", "8373", "8375"],
            Family::Visual => &["8128", "8138"],
            Family::Strobe => &["8128", "8138", "8190S", "8410", "8420"],
            Family::Display => &["8410", "8420"],
            Family::Intercom => &["8028", "8039", "8201", "8203"],
            Family::Controller => &["8063"],
        }
    }
}

/// Every family.
const FAMILIES: [Family; 7] = [
    Family::Speaker,
    Family::Adapter,
    Family::Visual,
    Family::Strobe,
    Family::Display,
    Family::Intercom,
    Family::Controller,
];

/// The model named in a product name such as `Algo 8301 IP Paging Adapter & Scheduler`; `None` for one that is not known here.
pub fn from_product(product: &str) -> Option<&'static str> {
    let words = product.split(|c: char| !c.is_ascii_alphanumeric());
    words
        .filter_map(|word| {
            FAMILIES.iter().flat_map(|family| family.models()).find(|model| model.eq_ignore_ascii_case(word))
        })
        .copied()
        .next()
}

/// A firmware version; compares by its numbers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Firmware(Vec<u32>);

impl Firmware {
    /// Whether it is this one or a later one.
    pub fn has(&self, floor: &[u32]) -> bool {
        self.0.as_slice() >= floor
    }

    /// Whether it belongs to this release line or an earlier one: 5.4.2 is at most 5.4.
    pub fn is_at_most(&self, line: [u32; 2]) -> bool {
        self.0.iter().copied().chain(std::iter::repeat(0)).take(2).le(line)
    }
}

impl FromStr for Firmware {
    type Err = ();

    /// Reads `5.7.1`; what follows the numbers, such as `-beta`, does not count.
    fn from_str(text: &str) -> Result<Firmware, ()> {
        let start = text.find(|c: char| c.is_ascii_digit()).ok_or(())?;
        let end = text[start..].find(|c: char| !c.is_ascii_digit() && c != '.').map_or(text.len(), |end| start + end);
        let numbers: Vec<u32> = text[start..end]
            .split('.')
            .filter(|part| !part.is_empty())
            .map(str::parse)
            .collect::<Result<_, _>>()
            .map_err(|_| ())?;
        if numbers.is_empty() { Err(()) } else { Ok(Firmware(numbers)) }
    }
}

impl fmt::Display for Firmware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.iter().map(u32::to_string).collect::<Vec<_>>().join("."))
    }
}

/// The firmware of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Age {
    /// Nobody has asked, or the answer could not be read.
    Unknown,
    /// Too old to say: the device knows no `info/about`, which came with 5.4.
    Before54,
    /// This one.
    Known(Firmware),
}

impl Age {
    fn has(&self, floor: &[u32]) -> bool {
        match self {
            Age::Unknown => true,
            Age::Before54 => floor < [5, 4].as_slice(),
            Age::Known(firmware) => firmware.has(floor),
        }
    }

    /// Whether `tone/stop` wants to know which tone.
    pub fn stops_tones_by_name(&self) -> bool {
        match self {
            Age::Unknown => false,
            Age::Before54 => true,
            Age::Known(firmware) => firmware.is_at_most([5, 4]),
        }
    }
}

impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Age::Unknown => f.write_str("unknown firmware"),
            Age::Before54 => f.write_str("firmware before 5.4"),
            Age::Known(firmware) => write!(f, "firmware {firmware}"),
        }
    }
}

/// An ability that not every device has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ability {
    /// For messages.
    pub name: &'static str,
    /// The families that have it.
    pub families: &'static [Family],
    /// The firmware it came with; empty where the guide names none.
    pub floor: &'static [u32],
}

/// Stored tones.
pub const TONE: Ability =
    Ability { name: "stored tones", families: &[Family::Speaker, Family::Adapter, Family::Intercom], floor: &[3, 3] };
/// Stored emergency announcements.
pub const ANNOUNCEMENT: Ability = Ability {
    name: "stored emergency announcements",
    families: &[Family::Speaker, Family::Adapter, Family::Visual],
    floor: &[5, 7],
};
/// The strobe.
pub const STROBE: Ability = Ability { name: "a strobe", families: &[Family::Strobe], floor: &[] };
/// Stored slides on the screen.
pub const SCREEN: Ability = Ability { name: "a screen", families: &[Family::Display], floor: &[5, 3, 4] };
/// Free text on the screen.
pub const SCREEN_TEXT: Ability = Ability { name: "text on the screen", families: &[Family::Display], floor: &[5, 7] };
/// The relay output.
pub const RELAY: Ability = Ability { name: "a relay output", families: &[Family::Controller], floor: &[5, 0] };
/// Multicast zones that play.
pub const ZONE: Ability = Ability {
    name: "a loudspeaker output",
    families: &[Family::Speaker, Family::Adapter, Family::Intercom, Family::Visual],
    floor: &[],
};

/// Whether a device of this model and firmware has the ability. A model that is not known here is given the benefit of the
/// doubt: the vendor brings out new ones, and the device itself refuses what it cannot do.
///
/// # Errors
/// It has not; the text names the family or the firmware floor.
pub fn allow(ability: &Ability, model: Option<&str>, age: &Age) -> Result<(), Reason> {
    if let Some(model) = model
        && !ability.families.iter().any(|family| family.models().contains(&model))
    {
        return Err(Reason::Family { model: model.to_owned(), ability: ability.name });
    }
    if age.has(ability.floor) {
        return Ok(());
    }
    let floor = ability.floor.iter().map(u32::to_string).collect::<Vec<_>>().join(".");
    Err(Reason::Floor { have: age.to_string(), ability: ability.name, floor })
}

/// The strobe patterns of a model; `None` for a model that is not known here.
pub fn patterns(model: Option<&str>) -> Option<&'static [u8]> {
    match model? {
        "8128" => Some(&[0, 1, 3, 5, 7, 8, 11, 12, 13, 14, 15]),
        "8138" => Some(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15]),
        "8190S" => Some(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
        // 15 switches the strobe off: nothing to begin with.
        "8410" | "8420" => Some(&[0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14]),
        _ => None,
    }
}

/// The setting that holds the volume at which announcements are played.
pub fn volume_parameter(model: Option<&str>) -> &'static str {
    let talks = [Family::Intercom, Family::Controller]
        .iter()
        .any(|family| model.is_some_and(|it| family.models().contains(&it)));
    if talks { "audio.vol.spk" } else { "audio.page.vol" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(text: &str) -> Age {
        Age::Known(text.parse().unwrap())
    }

    #[test]
    fn models_are_found_in_product_names() {
        for (product, model) in [
            ("Algo 8301 IP Paging Adapter & Scheduler", Some("8301")),
            ("Algo 8190S IP Speaker - Clock & Visual Alerter", Some("8190S")),
            ("Algo 8190 IP Speaker - Clock", Some("8190")),
            ("algo 8190s", Some("8190S")),
            ("Algo 9999 of tomorrow", None),
            ("", None),
        ] {
            assert_eq!(from_product(product), model, "{product}");
        }
    }

    #[test]
    fn firmware_compares_by_number_not_by_text() {
        assert!(known("5.10").has(&[5, 7]));
        assert!(!known("5.6.9").has(&[5, 7]));
        assert!(known("5.7").has(&[5, 7]));
        assert_eq!(known("v5.3.4-beta"), known("5.3.4"));
        assert!("unknown".parse::<Firmware>().is_err());
        assert!(known("5.4.9").stops_tones_by_name());
        assert!(known("5").stops_tones_by_name());
        assert!(!known("5.5").stops_tones_by_name());
        assert!(Age::Before54.stops_tones_by_name());
    }

    #[test]
    fn what_a_device_cannot_do_names_the_family_or_the_floor() {
        assert_eq!(allow(&SCREEN_TEXT, Some("8410"), &known("5.7")), Ok(()));
        let floor = allow(&SCREEN_TEXT, Some("8410"), &known("5.6.2")).unwrap_err().to_string();
        assert_eq!(floor, "firmware 5.6.2 has no text on the screen; it came with 5.7: update the device's firmware");
        let old = allow(&ANNOUNCEMENT, Some("8180"), &Age::Before54).unwrap_err().to_string();
        assert!(old.contains("firmware before 5.4") && old.contains("5.7"), "{old}");
        let family = allow(&STROBE, Some("8180"), &known("5.7")).unwrap_err().to_string();
        assert!(family.contains("8180") && family.contains("a strobe"), "{family}");
        assert_eq!(allow(&TONE, Some("8180"), &Age::Before54), Ok(()));
    }

    #[test]
    fn an_unknown_model_is_given_the_benefit_of_the_doubt() {
        assert_eq!(allow(&STROBE, None, &Age::Unknown), Ok(()));
    }
}
