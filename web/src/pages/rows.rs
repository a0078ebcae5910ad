//! What the pages of endpoints, triggers and notifications do alike: a list, a page for a new row, and one page a row with its
//! form and its deletion.

use http::Method;

use super::{
    Frame,
    confirm::Confirm,
    edit::{Edit, belongs_to_form},
    expect, not_here, path_to,
};
use crate::{
    caller::Caller,
    form::Form,
    needs::{Expect, FieldProblem, Listed, Named, Problem, State},
    reply::{self, Reply},
    request::{Fields, Request},
    roles::Action,
};

/// One kind of row, and what is its own about the pages.
pub trait Kind {
    /// A row.
    type Row: Clone;
    /// The list's name and address.
    const LIST: (&'static str, &'static str);
    /// What one row is called, in a sentence.
    const ONE: &'static str;
    /// Where the pages of what uses one are.
    const USERS: &'static str = "/notifications";
    /// What changing one is.
    const CHANGE: Action;

    /// The list.
    async fn list(request: &Request, caller: &Caller) -> Result<Reply, Problem>;
    /// The page on which a new row begins.
    async fn begin(request: &Request, caller: &Caller) -> Result<Reply, Problem>;
    /// One row.
    async fn find(caller: &Caller, id: &str) -> Result<Listed<Self::Row>, Problem>;
    /// A row's form and what stands around it.
    async fn draft(caller: &Caller, row: &Self::Row, exists: bool) -> Result<Draft, Problem>;
    /// The row that was posted, and what of it could not be read.
    async fn read(caller: &Caller, form: &Fields, id: &str) -> Result<(Self::Row, Vec<FieldProblem>), Problem>;
    /// Saves a row.
    async fn save(caller: &Caller, row: Self::Row, expect: Expect) -> Result<(), Problem>;
    /// Deletes a row.
    async fn delete(caller: &Caller, id: &str, expect: Expect) -> Result<(), Problem>;
    /// What deleting it does, in sentences.
    fn farewell(listed: &Listed<Self::Row>) -> Vec<String>;
    /// A row's key and name.
    fn named(row: &Self::Row) -> (&str, &str);
}

/// What a row's page shows beside its state and its uses.
pub struct Draft {
    /// The title while the row does not exist yet.
    pub title: String,
    /// A line under the title; may be empty.
    pub intro: String,
    /// Posted with the form.
    pub hidden: Vec<(&'static str, String)>,
    /// The form.
    pub form: Form,
    /// Where it can be sent from, for a notification.
    pub send: Option<String>,
}

/// A row that does not exist yet, or that was posted and not saved.
pub fn unsaved<R>(row: R, etag: String) -> Listed<R> {
    Listed { row, etag, state: State::Ok, text: String::new(), used_by: Vec::new() }
}

/// Every request for one kind of row.
pub async fn answer<K: Kind>(request: &Request, caller: &Caller) -> Result<Reply, Problem> {
    match (request.method.clone(), &request.parts()[..]) {
        (Method::GET, [_]) => K::list(request, caller).await,
        (Method::GET, [_, "new"]) => K::begin(request, caller).await,
        (Method::GET, [_, id]) => show::<K>(request, caller, K::find(caller, id).await?, None).await,
        (Method::POST, [_, "new"]) => save::<K>(request, caller, "").await,
        (Method::POST, [_, id]) => save::<K>(request, caller, id).await,
        (Method::POST, [_, id, "delete"]) => delete::<K>(request, caller, id).await,
        _ => Err(not_here(request)),
    }
}

/// The page of one row, with what was wrong with the last try.
pub async fn show<K: Kind>(
    request: &Request,
    caller: &Caller,
    listed: Listed<K::Row>,
    refused: Option<Problem>,
) -> Result<Reply, Problem> {
    let Listed { row, etag, state, text, used_by } = listed;
    let exists = !etag.is_empty();
    let draft = K::draft(caller, &row, exists).await?;
    let (id, name) = K::named(&row);
    let path = path_to(K::LIST.1, id);
    let frame = Frame::of(request, caller, if exists { name.to_owned() } else { draft.title });
    let edit = Edit {
        up: K::LIST,
        health: (exists && !text.is_empty()).then_some((state, text)),
        intro: draft.intro,
        action: if exists { path.clone() } else { format!("{}/new", K::LIST.1) },
        shut: frame.shut(caller, K::CHANGE),
        etag,
        hidden: draft.hidden,
        form: draft.form,
        save: format!("Save {}", K::ONE),
        used_by: used_by.into_iter().map(|named| (named.name, path_to(K::USERS, &named.id))).collect(),
        send: draft.send,
        delete: (exists && caller.can(K::CHANGE)).then(|| format!("{path}/delete")),
        frame,
    };
    edit.reply(refused.as_ref())
}

async fn save<K: Kind>(request: &Request, caller: &Caller, id: &str) -> Result<Reply, Problem> {
    caller.require_change(K::CHANGE)?;
    let form = request.form();
    let (row, wrong) = K::read(caller, &form, id).await?;
    let saved =
        if wrong.is_empty() { K::save(caller, row.clone(), expect(&form)).await } else { Err(Problem::invalid(wrong)) };
    match saved {
        Ok(()) => Ok(reply::redirect(&format!("{}?done=saved", K::LIST.1))),
        Err(problem) if belongs_to_form(&problem) => {
            show::<K>(request, caller, unsaved(row, form.text("etag")), Some(problem)).await
        }
        Err(problem) => Err(problem),
    }
}

/// Asks first, then deletes.
async fn delete<K: Kind>(request: &Request, caller: &Caller, id: &str) -> Result<Reply, Problem> {
    caller.require_change(K::CHANGE)?;
    let form = request.form();
    if form.text("confirm") == "yes" {
        K::delete(caller, id, Expect::Etag(form.text("etag"))).await?;
        return Ok(reply::redirect(&format!("{}?done=deleted", K::LIST.1)));
    }
    let listed = K::find(caller, id).await?;
    let path = path_to(K::LIST.1, id);
    reply::page(&Confirm {
        frame: Frame::of(request, caller, format!("Delete {}?", K::named(&listed.row).1)),
        lines: K::farewell(&listed),
        action: format!("{path}/delete"),
        hidden: vec![("etag".to_owned(), listed.etag)],
        class: "stop",
        button: format!("Delete {}", K::ONE),
        back: path,
    })
}

/// The first names of a list, for a sentence.
pub fn names(all: &[Named]) -> String {
    let first: Vec<&str> = all.iter().take(5).map(|named| named.name.as_str()).collect();
    if all.len() > 5 { format!("{} and {} more", first.join(", "), all.len() - 5) } else { first.join(", ") }
}
