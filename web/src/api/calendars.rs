//! Calendars: bell schedules, and what is to come of them.

use http::Method;
use onealert_core::{
    calendar::{Calendar, Exception},
    ids::CalendarId,
};

use super::{
    Call, Done, Route,
    configuration::{created, new_row, row},
    general::routes,
};
use crate::{
    needs::{Expect, Problem},
    reply::{self, Reply, tagged},
    roles::Action,
};

pub(super) const ROUTES: &[Route] = routes! {
    GET "/calendars" Look (None) -> (Some("[CalendarRow]")) calendars:
        "Every calendar, with its next event and the days to come.";
    POST "/calendars" EditSchedules (Some("Calendar")) -> (Some("Created")) new_calendar: "Create a calendar.";
    GET "/calendars/{id}" Look (None) -> (Some("CalendarRow")) calendar: "One calendar.";
    PUT "/calendars/{id}" EditSchedules (Some("Calendar")) -> (None) put_calendar: "Replace a calendar.";
    DELETE "/calendars/{id}" EditSchedules (None) -> (None) delete_calendar: "Delete a calendar.";
    POST "/calendars/{id}/preview" EditSchedules (Some("Calendar")) -> (Some("CalendarPreview")) preview:
        "Ask what saving this calendar would change in the days to come, without saving.";
    POST "/calendars/{id}/exceptions" EditSchedules (Some("CalendarException")) -> (None) except:
        "Add an exception: no bells, or another template, on a date or a range.";
};

async fn calendars(call: Call) -> Result<Reply, Problem> {
    Ok(reply::json(&call.caller.calendars().await?))
}
async fn new_calendar(call: Call) -> Result<Reply, Problem> {
    let row: Calendar = new_row(&call)?;
    created(call.caller.save_calendar(row, Expect::New).await?)
}
async fn calendar(call: Call) -> Result<Reply, Problem> {
    let view = call.caller.calendar(CalendarId::from(call.id())).await?;
    Ok(tagged(reply::json(&view), &view.listed.etag))
}
async fn put_calendar(call: Call) -> Result<Reply, Problem> {
    let row: Calendar = row(&call, call.id())?;
    call.caller.save_calendar(row, call.request.expect()).await?;
    Ok(reply::done())
}
async fn delete_calendar(call: Call) -> Result<Reply, Problem> {
    call.caller.delete_calendar(CalendarId::from(call.id()), call.request.expect()).await?;
    Ok(reply::done())
}
async fn preview(call: Call) -> Result<Reply, Problem> {
    let row: Calendar = row(&call, call.id())?;
    Ok(reply::json(&call.caller.preview_calendar(row).await?))
}
async fn except(call: Call) -> Result<Reply, Problem> {
    let exception: Exception = call.request.json()?;
    call.caller.except(CalendarId::from(call.id()), exception).await?;
    Ok(reply::done())
}
