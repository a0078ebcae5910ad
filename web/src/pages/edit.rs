//! The page of one row, or of a single form: its form, what uses it, its deletion.

use askama::Template;
use http::StatusCode;

use super::Frame;
use crate::{
    form::Form,
    needs::{Problem, State},
    reply::{self, Reply},
    words,
};

/// One row's page.
#[derive(Template)]
#[template(path = "edit.html")]
pub struct Edit {
    /// The frame, with the row's name as its title.
    pub frame: Frame,
    /// The list that it belongs to: name and address.
    pub up: (&'static str, &'static str),
    /// How well it is, for rows with health.
    pub health: Option<(State, String)>,
    /// A line under the title; may be empty.
    pub intro: String,
    /// Where the form is posted.
    pub action: String,
    /// Shown but not to be changed.
    pub shut: bool,
    /// The row as it was read; empty for a row that does not exist yet.
    pub etag: String,
    /// Posted with the form.
    pub hidden: Vec<(&'static str, String)>,
    /// The form.
    pub form: Form,
    /// What the button says.
    pub save: String,
    /// Names and addresses of what uses it.
    pub used_by: Vec<(String, String)>,
    /// Where it can be sent from, for a notification.
    pub send: Option<String>,
    /// Where its deletion is posted.
    pub delete: Option<String>,
}

impl Edit {
    /// The page of a single form that belongs to no list, posted to where it is shown.
    pub fn single(frame: Frame, action: &str, shut: bool, intro: String, form: Form, save: &str) -> Edit {
        Edit {
            frame,
            up: ("System Status", "/status"),
            health: None,
            intro,
            action: action.to_owned(),
            shut,
            etag: String::new(),
            hidden: Vec::new(),
            form,
            save: save.to_owned(),
            used_by: Vec::new(),
            send: None,
            delete: None,
        }
    }

    /// The page, with what was wrong with the last try.
    ///
    /// # Errors
    /// As [`reply::page`].
    pub fn reply(mut self, refused: Option<&Problem>) -> Result<Reply, Problem> {
        let Some(problem) = refused else { return reply::page(&self) };
        self.form = self.form.with_problem(problem);
        reply::page_with(StatusCode::from_u16(problem.status).unwrap_or(StatusCode::UNPROCESSABLE_ENTITY), &self)
    }
}

/// Problems that are shown in the form itself: its values are wrong, or somebody else was faster.
pub fn belongs_to_form(problem: &Problem) -> bool {
    matches!(problem.status, 409 | 422)
}
