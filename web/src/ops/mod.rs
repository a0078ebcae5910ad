//! What a caller can do, each once: roles, read-only servers and schemas are checked here, for pages and API alike.

mod calendars;
mod drivers;
mod looking;
mod rows;
mod sending;
mod servers;

use serde_json::Value;

use crate::{
    needs::{FieldProblem, Problem},
    schema,
};

/// Longest name of a configuration row.
const NAME_MAX: usize = 200;

fn check_name(name: &mut String) -> Vec<FieldProblem> {
    *name = name.trim().to_owned();
    match name.chars().count() {
        0 => vec![FieldProblem::new("/name", "must not be empty")],
        n if n > NAME_MAX => {
            vec![FieldProblem::new("/name", format!("must have at most {NAME_MAX} characters, it has {n}"))]
        }
        _ => Vec::new(),
    }
}

/// Judges a value by a driver's schema. A secret may be missing where one is stored already.
fn judge(form: &Value, value: &Value, below: &str, is_new: bool) -> Result<(), Problem> {
    let wrong = schema::check(form, value, is_new);
    refuse(
        wrong.into_iter().map(|problem| FieldProblem { path: format!("{below}{}", problem.path), ..problem }).collect(),
    )
}

fn refuse(wrong: Vec<FieldProblem>) -> Result<(), Problem> {
    if wrong.is_empty() { Ok(()) } else { Err(Problem::invalid(wrong)) }
}

fn refuse_both(mut wrong: Vec<FieldProblem>, judged: Result<(), Problem>) -> Result<(), Problem> {
    if let Err(problem) = judged {
        wrong.extend(problem.fields);
    }
    refuse(wrong)
}
