//! The page of a list: search, state filter, count, rows, and what to do while it is empty.

use askama::Template;

use super::{Frame, found_in};
use crate::{
    form::Choice,
    needs::{Problem, State},
    reply::{self, Reply},
    request::Request,
    words,
};

/// A list.
#[derive(Template)]
#[template(path = "list.html")]
pub struct List {
    /// The frame, with the list's name as its title.
    pub frame: Frame,
    /// The button that makes another row: text and address.
    pub create: Option<(&'static str, &'static str)>,
    /// Heads of the columns; the first is the name.
    pub columns: Vec<&'static str>,
    /// The rows that fit the search.
    pub rows: Vec<Row>,
    /// The next step while there are none.
    pub empty: &'static str,
    /// How many there are without a search.
    pub total: usize,
    /// "3 of 12".
    pub shown: String,
    /// The search.
    pub q: String,
    /// The state filter; empty for rows without health.
    pub states: Vec<Choice>,
}

/// A line of a list.
pub struct Row {
    /// What it is called.
    pub name: String,
    /// Its page.
    pub href: String,
    /// The other columns.
    pub cells: Vec<Cell>,
    /// How well it is, for the filter.
    pub state: State,
}

/// A field of a line.
pub enum Cell {
    /// Text.
    Text(String),
    /// A state in shape, word and colour.
    State(State, String),
    /// A button that leads to sending this notification.
    Send(String),
}

impl List {
    /// The list for a request: searched, filtered, counted.
    ///
    /// # Errors
    /// As [`reply::page`].
    pub fn reply(
        frame: Frame,
        request: &Request,
        create: Option<(&'static str, &'static str)>,
        columns: Vec<&'static str>,
        rows: Vec<Row>,
        empty: &'static str,
    ) -> Result<Reply, Problem> {
        let total = rows.len();
        let (q, wanted) = (request.query.text("q"), request.query.text("state"));
        let with_health = rows.iter().any(|row| row.cells.iter().any(|cell| matches!(cell, Cell::State(..))));
        let fits = |row: &Row| {
            let texts = row.cells.iter().map(|cell| match cell {
                Cell::Text(text) | Cell::State(_, text) => text.as_str(),
                Cell::Send(_) => "",
            });
            let all: Vec<&str> = texts.chain([row.name.as_str()]).collect();
            found_in(&q, &all) && (wanted.is_empty() || words::state_class(row.state) == wanted)
        };
        let rows: Vec<Row> = rows.into_iter().filter(fits).collect();
        let mut states = Vec::new();
        if with_health {
            states.push(Choice::new("", "All", wanted.is_empty()));
            for state in [State::Ok, State::Warning, State::Bad] {
                let value = words::state_class(state);
                states.push(Choice::new(value, words::state(state), wanted == value));
            }
        }
        let shown = if rows.len() == total { format!("{total} in all") } else { format!("{} of {total}", rows.len()) };
        reply::page(&List { frame, create, columns, rows, empty, total, shown, q, states })
    }
}
