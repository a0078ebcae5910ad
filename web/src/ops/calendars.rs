//! Calendars: everybody looks, editors change.

use onealert_core::{
    calendar::{Calendar, Exception},
    ids::CalendarId,
};

use super::{check_name, refuse};
use crate::{caller::Caller, needs::*, roles::Action};

impl Caller {
    /// Every calendar.
    pub async fn calendars(&self) -> Result<Vec<CalendarView>, Problem> {
        self.require(Action::Look)?;
        self.needs.calendars().await
    }

    /// One calendar.
    pub async fn calendar(&self, id: CalendarId) -> Result<CalendarView, Problem> {
        self.require(Action::Look)?;
        self.needs.calendar(id).await
    }

    /// What saving a calendar would change in the days to come.
    pub async fn preview_calendar(&self, mut calendar: Calendar) -> Result<CalendarPreview, Problem> {
        self.require_change(Action::EditSchedules)?;
        refuse(check_name(&mut calendar.name))?;
        self.needs.preview_calendar(calendar).await
    }

    /// Creates or replaces a calendar.
    pub async fn save_calendar(&self, mut calendar: Calendar, expect: Expect) -> Result<CalendarId, Problem> {
        self.require_change(Action::EditSchedules)?;
        refuse(check_name(&mut calendar.name))?;
        self.needs.save_calendar(self.actor(), calendar, expect).await
    }

    /// Adds an exception to a calendar as it is.
    pub async fn except(&self, id: CalendarId, exception: Exception) -> Result<(), Problem> {
        self.require_change(Action::EditSchedules)?;
        let CalendarView { listed, .. } = self.needs.calendar(id).await?;
        let mut calendar = listed.row;
        calendar.exceptions.push(exception);
        self.needs.save_calendar(self.actor(), calendar, Expect::Etag(listed.etag)).await.map(drop)
    }

    /// Deletes a calendar.
    pub async fn delete_calendar(&self, id: CalendarId, expect: Expect) -> Result<(), Problem> {
        self.require_change(Action::EditSchedules)?;
        self.needs.delete_calendar(self.actor(), id, expect).await
    }
}
