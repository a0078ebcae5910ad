//! Generations: made by first installation and by promotion, learned from others, walked backwards.

use onealert_core::{ids::EpochId, replicate::Epoch};
use rusqlite::{Connection, OptionalExtension, params};

use crate::{db::Work, error::StoreError};

use super::state::{State, bad_value};

pub(super) fn install(tx: &Connection, place: &str, epoch: EpochId) -> Work<onealert_core::replicate::Position> {
    if let Some(state) = State::load(tx)? {
        let error = StoreError::NotEmpty { place: place.to_owned(), epoch: state.epoch, lsn: state.lsn };
        return Err(error.into());
    }
    learn(tx, &[Epoch { id: epoch, parent: None, fork: 0 }])?;
    let state = State { epoch, lsn: 0, tail: 0, digests: Default::default() };
    state.save(tx)?;
    Ok(state.position())
}

pub(super) fn promote(tx: &Connection, place: &str, epoch: EpochId) -> Work<Epoch> {
    let mut state = State::need(tx, place)?;
    let begun = Epoch { id: epoch, parent: Some(state.epoch), fork: state.lsn };
    if find(tx, epoch)?.is_some() {
        return Err(StoreError::EpochDiffers { epoch }.into());
    }
    learn(tx, &[begun])?;
    state.epoch = epoch;
    state.save(tx)?;
    Ok(begun)
}

pub(super) fn learn(tx: &Connection, epochs: &[Epoch]) -> Work<()> {
    for epoch in epochs {
        match find(tx, epoch.id)? {
            Some(known) if known == *epoch => {}
            Some(_) => return Err(StoreError::EpochDiffers { epoch: epoch.id }.into()),
            None => {
                let parent = epoch.parent.map(|parent| parent.to_string());
                tx.prepare_cached("INSERT INTO epochs (id, parent, fork) VALUES (?1, ?2, ?3)")?.execute(params![
                    epoch.id.to_string(),
                    parent,
                    epoch.fork.cast_signed()
                ])?;
            }
        }
    }
    Ok(())
}

/// Every generation that led to `epoch`, oldest first, with itself.
pub(super) fn ancestry(tx: &Connection, epoch: EpochId) -> Work<Vec<Epoch>> {
    let mut line: Vec<Epoch> = Vec::new();
    let mut next = Some(epoch);
    while let Some(id) = next {
        let Some(found) = find(tx, id)? else { break };
        if line.iter().any(|known| known.id == id) {
            return Err(bad_value(tx, "epochs", &id.to_string(), "is its own ancestor").into());
        }
        next = found.parent;
        line.push(found);
    }
    line.reverse();
    Ok(line)
}

/// Whether a copy that stands at `lsn` of `from` may go on in `to`: every generation in between began exactly there.
pub(super) fn continues(tx: &Connection, from: EpochId, to: EpochId, lsn: u64) -> Work<bool> {
    let line = ancestry(tx, to)?;
    let Some(place) = line.iter().position(|epoch| epoch.id == from) else { return Ok(false) };
    Ok(line[place + 1..].iter().all(|epoch| epoch.fork == lsn))
}

/// Reads an epoch's id as the database holds it.
pub(super) fn parse(tx: &Connection, text: &str) -> Work<EpochId> {
    Ok(text.parse().map_err(|error| bad_value(tx, "epochs", text, error))?)
}

fn find(tx: &Connection, epoch: EpochId) -> Work<Option<Epoch>> {
    let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, Option<String>>(0)?, row.get::<_, i64>(1)?));
    let found = tx
        .prepare_cached("SELECT parent, fork FROM epochs WHERE id = ?1")?
        .query_row([epoch.to_string()], read)
        .optional()?;
    let Some((parent, fork)) = found else { return Ok(None) };
    let parent = parent.map(|parent| parse(tx, &parent)).transpose()?;
    Ok(Some(Epoch { id: epoch, parent, fork: fork.cast_unsigned() }))
}
