//! What is old goes from the activity log, a little at a time: whoever writes meanwhile waits for a few records and no more.

use onealert_core::{ids::ServerId, time::Wall};
use rusqlite::{Connection, OptionalExtension, params};

use crate::db::Work;

use super::{
    ActivityRecord, GAP, Gap, Mark, sent,
    store::{acknowledged, bad, put_row, read_mark, server, signed},
};

/// How many records go at once.
const PORTION: usize = 100;

/// How much is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The server whose log this is, on a secondary: what the primary does not have of it goes above `max_bytes` only. `None` on
    /// the primary.
    pub me: Option<ServerId>,
    /// What is older goes.
    pub since: Wall,
    /// The oldest goes until the rest takes no more than this.
    pub keep_bytes: u64,
    /// What is nowhere else goes when more than this is taken.
    pub max_bytes: u64,
}

/// A record that goes.
pub(super) struct Gone {
    origin: ServerId,
    mark: Mark,
    at: Wall,
}

/// The oldest records that are not kept, as many as go at once.
pub(super) fn oldest(tx: &Connection, limits: &Limits) -> Work<Vec<Gone>> {
    let total: i64 = tx.query_row("SELECT COALESCE(SUM(bytes), 0) FROM records", [], |row| row.get(0))?;
    let mut rest = total.cast_unsigned();
    let has = acknowledged(tx)?;
    let mut found: Vec<(Wall, Gone, u64)> = Vec::new();
    let mut origins = tx.prepare_cached("SELECT origin FROM marks")?;
    let mut origins = origins.query([])?;
    while let Some(row) = origins.next()? {
        let origin = server(tx, &row.get::<_, String>(0)?)?;
        let mut statement = tx.prepare_cached(
            "SELECT incarnation, seq, at, bytes FROM records WHERE origin = ?1 AND kind <> ?2
             ORDER BY incarnation, seq LIMIT ?3",
        )?;
        let mut rows = statement.query(params![origin.to_string(), GAP, PORTION as i64])?;
        // Within an origin the numbers say what is older, whatever a clock that was set back says.
        let mut age = Wall(i64::MIN);
        while let Some(row) = rows.next()? {
            let at = Wall(row.get(2)?);
            age = age.max(at);
            found.push((age, Gone { origin, mark: read_mark(row, 0)?, at }, row.get::<_, i64>(3)?.cast_unsigned()));
        }
    }
    found.sort_by_key(|(age, Gone { origin, mark, .. }, _)| (*age, *origin, *mark));
    let mut gone = Vec::new();
    for (age, record, bytes) in found {
        if gone.len() == PORTION || (age >= limits.since && rest <= limits.keep_bytes) {
            break;
        }
        let only_here = limits.me == Some(record.origin) && has.is_none_or(|has| has < record.mark);
        if !only_here || rest > limits.max_bytes {
            rest = rest.saturating_sub(bytes);
            gone.push(record);
        }
    }
    Ok(gone)
}

/// Deletes these, and leaves a gap for them.
pub(super) fn delete_all(tx: &Connection, gone: &[Gone]) -> Work<()> {
    for Gone { origin, mark, at } in gone {
        let activation = sent::activation_of(tx, *origin, *mark)?;
        delete(tx, *origin, *mark)?;
        leave_gap(tx, *origin, *mark, *at)?;
        if let Some(activation) = activation {
            sent::forget_if_lonely(tx, &activation)?;
        }
    }
    Ok(())
}

/// Puts a gap record in the place of `lost`; joins the gap that ends just before it.
fn leave_gap(tx: &Connection, origin: ServerId, lost: Mark, at: Wall) -> Work<()> {
    let before = Mark { seq: lost.seq - 1, ..lost };
    let joined: Option<String> = tx
        .prepare_cached(
            "SELECT document FROM records WHERE origin = ?1 AND incarnation = ?2 AND seq = ?3 AND kind = ?4",
        )?
        .query_row(params![origin.to_string(), signed(before.incarnation.0), signed(before.seq), GAP], |row| row.get(0))
        .optional()?;
    let mut from = lost.seq;
    if let Some(document) = joined {
        let gap: Gap =
            serde_json::from_str(&document).map_err(|error| bad(tx, "records", &origin.to_string(), error))?;
        from = gap.from;
        delete(tx, origin, before)?;
    }
    let document = serde_json::to_string(&Gap { from, to: lost.seq }).expect("a gap is plain data");
    let Mark { incarnation, seq } = lost;
    put_row(tx, &ActivityRecord { origin, incarnation, seq, at, kind: GAP.to_owned(), document })
}

fn delete(tx: &Connection, origin: ServerId, mark: Mark) -> Work<()> {
    tx.prepare_cached("DELETE FROM records WHERE origin = ?1 AND incarnation = ?2 AND seq = ?3")?.execute(params![
        origin.to_string(),
        signed(mark.incarnation.0),
        signed(mark.seq)
    ])?;
    Ok(())
}
