//! Forms as templates draw them: one kind of list for our own forms and for those that a driver's schema describes.

use crate::{
    needs::{FieldProblem, Problem},
    words,
};

/// A form: its fields in order, and what was wrong with the last try.
#[derive(Debug, Clone, Default, askama::Template)]
#[template(path = "fields.html")]
pub struct Form {
    /// Fields and the frames around them.
    pub items: Vec<Item>,
    /// For the summary on top: label, the field's element id (empty for the whole form), message.
    pub summary: Vec<Mistake>,
}

/// One line of the summary.
#[derive(Debug, Clone)]
pub struct Mistake {
    /// The field's label; empty for the whole form.
    pub label: String,
    /// The field's element id.
    pub id: String,
    /// What is wrong.
    pub message: String,
}

/// A part of a form.
#[allow(clippy::large_enum_variant)] // a form has some dozens of items, each once
#[derive(Debug, Clone)]
pub enum Item {
    /// Begins a frame around fields.
    Open {
        /// Its title.
        title: String,
        /// What it means.
        help: String,
    },
    /// Ends the frame.
    Close,
    /// Begins what is folded away.
    Fold {
        /// Something in it is set, or wrong.
        open: bool,
    },
    /// Ends what is folded away.
    Unfold,
    /// A field.
    Field(FormField),
}

/// A field of a form.
#[derive(Debug, Clone, Default)]
pub struct FormField {
    /// The element's id.
    pub id: String,
    /// The posted name: a JSON pointer, so that a problem finds its field.
    pub name: String,
    /// Its label.
    pub label: String,
    /// What it means; may be empty.
    pub help: String,
    /// How it is drawn.
    pub control: Control,
    /// What it holds.
    pub value: String,
    /// What is wrong with it; may be empty.
    pub error: String,
    /// It must be filled in.
    pub required: bool,
    /// Shown, not changed.
    pub read_only: bool,
    /// The value it would have by itself, when it holds another.
    pub default: Option<String>,
}

/// How a field is drawn.
#[derive(Debug, Clone)]
pub enum Control {
    /// One line; the browser's own checks help, the server decides.
    Line(Line),
    /// Several lines.
    Area {
        /// How many to show.
        rows: u32,
    },
    /// A box to tick.
    Tick {
        /// It is ticked.
        on: bool,
    },
    /// One of a list, folded.
    Select(Vec<Choice>),
    /// One of a short list, open.
    Radio(Vec<Choice>),
    /// Several of a list.
    Ticks(Vec<Choice>),
}

/// One line of text, number, time or secret.
#[derive(Debug, Clone, Default)]
pub struct Line {
    /// The `type` attribute.
    pub kind: &'static str,
    /// `autocomplete`, empty for off.
    pub autocomplete: &'static str,
    /// Shown while it is empty.
    pub placeholder: String,
    /// Least number.
    pub min: String,
    /// Highest number.
    pub max: String,
    /// Step of a number.
    pub step: String,
    /// Most characters.
    pub max_length: String,
}

/// One of several values.
#[derive(Debug, Clone)]
pub struct Choice {
    /// What is posted.
    pub value: String,
    /// What is shown.
    pub label: String,
    /// More about it; may be empty.
    pub note: String,
    /// Chosen.
    pub on: bool,
}

impl Default for Control {
    fn default() -> Control {
        Control::Line(Line { kind: "text", ..Line::default() })
    }
}

impl Form {
    /// A form with these parts.
    pub fn new(items: Vec<Item>) -> Form {
        Form { items, summary: Vec::new() }
    }

    /// Adds a field.
    pub fn field(mut self, field: FormField) -> Form {
        self.items.push(Item::Field(field));
        self
    }

    /// Adds parts.
    pub fn items(mut self, items: impl IntoIterator<Item = Item>) -> Form {
        self.items.extend(items);
        self
    }

    /// Adds a frame around parts.
    pub fn group(mut self, title: &str, help: &str, items: impl IntoIterator<Item = Item>) -> Form {
        self.items.push(Item::Open { title: title.to_owned(), help: help.to_owned() });
        self.items.extend(items);
        self.items.push(Item::Close);
        self
    }

    /// The form with what was wrong: each field's message beside it, all of them on top.
    pub fn with_problem(mut self, problem: &Problem) -> Form {
        if problem.fields.is_empty() {
            self.summary.push(Mistake { label: String::new(), id: String::new(), message: problem.detail.clone() });
        }
        for item in &mut self.items {
            // What is wrong must be seen.
            if let Item::Fold { open } = item {
                *open = true;
            }
        }
        for FieldProblem { path, message } in &problem.fields {
            // A problem inside a list is shown at the list.
            let holds = |field: &&mut FormField| path == &field.name || path.starts_with(&format!("{}/", field.name));
            let found = self.fields_mut().find(holds);
            let (label, id) = found.map_or_else(
                || (path.trim_start_matches('/').replace('/', " "), String::new()),
                |field| {
                    field.error = sentence(message);
                    (field.label.clone(), field.id.clone())
                },
            );
            self.summary.push(Mistake { label, id, message: message.clone() });
        }
        self
    }

    fn fields_mut(&mut self) -> impl Iterator<Item = &mut FormField> {
        self.items.iter_mut().filter_map(|item| match item {
            Item::Field(field) => Some(field),
            _ => None,
        })
    }
}

impl FormField {
    /// A field of our own under this posted name.
    pub fn new(name: &str, label: &str, control: Control) -> FormField {
        let id = element_id(name);
        FormField { id, name: name.to_owned(), label: label.to_owned(), control, ..FormField::default() }
    }
    /// One line of text.
    pub fn line(name: &str, label: &str, value: &str) -> FormField {
        FormField { value: value.to_owned(), ..FormField::new(name, label, Control::default()) }
    }
    /// A password box, never filled in.
    pub fn password(name: &str, label: &str, autocomplete: &'static str) -> FormField {
        FormField::new(name, label, Control::Line(Line { kind: "password", autocomplete, ..Line::default() }))
            .required()
    }
    /// One of a list, folded.
    pub fn select(name: &str, label: &str, choices: Vec<Choice>) -> FormField {
        FormField::new(name, label, Control::Select(choices))
    }
    /// The same field with an explanation.
    pub fn help(mut self, help: &str) -> FormField {
        self.help = help.to_owned();
        self
    }
    /// The same field, to be filled in.
    pub fn required(mut self) -> FormField {
        self.required = true;
        self
    }
    /// What describes the element, for `aria-describedby`; empty for nothing.
    pub fn described_by(&self) -> String {
        let help = (!self.help.is_empty() || self.default.is_some()).then(|| format!("{}-help", self.id));
        let error = (!self.error.is_empty()).then(|| format!("{}-error", self.id));
        [error, help].into_iter().flatten().collect::<Vec<_>>().join(" ")
    }
}

impl From<FormField> for Item {
    fn from(field: FormField) -> Item {
        Item::Field(field)
    }
}

impl Choice {
    /// A value with its label.
    pub fn new(value: impl Into<String>, label: impl Into<String>, on: bool) -> Choice {
        Choice { value: value.into(), label: label.into(), note: String::new(), on }
    }
}

/// An element's id for a posted name.
pub fn element_id(name: &str) -> String {
    let letters = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' });
    format!("f{}", letters.collect::<String>())
}

/// "must be 1 or more" beside a field reads as "Must be 1 or more."
fn sentence(message: &str) -> String {
    let text = words::sentence(message);
    if text.ends_with('.') { text } else { text + "." }
}
