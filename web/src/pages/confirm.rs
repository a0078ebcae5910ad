//! The page that asks before something is done that cannot be undone.

use askama::Template;

use super::Frame;

/// One question.
#[derive(Template)]
#[template(path = "confirm.html")]
pub struct Confirm {
    /// The frame, with the question as its title.
    pub frame: Frame,
    /// What will happen.
    pub lines: Vec<String>,
    /// Where the yes is posted.
    pub action: String,
    /// What is posted with it.
    pub hidden: Vec<(String, String)>,
    /// How the button looks.
    pub class: &'static str,
    /// What the button says: the verb and the thing.
    pub button: String,
    /// Where a no leads.
    pub back: String,
}
