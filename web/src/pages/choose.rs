//! The page that asks which driver a new row belongs to.

use askama::Template;

use super::Frame;
use crate::{form::Choice, needs::DriverView, request::encode};

/// The question.
#[derive(Template)]
#[template(path = "choose.html")]
pub struct Choose {
    /// The frame.
    pub frame: Frame,
    /// The list: name and address.
    pub up: (&'static str, &'static str),
    /// The question.
    pub intro: &'static str,
    /// Addresses with their labels.
    pub choices: Vec<Choice>,
    /// What to do when there are none.
    pub empty: &'static str,
}

/// A driver as an answer, for a new row of the list at `base`.
pub fn choice(base: &str, driver: DriverView) -> Choice {
    let value = format!("{base}/new?driver={}", encode(driver.id.as_str()));
    Choice { value, label: driver.name, note: driver.vendor, on: false }
}
