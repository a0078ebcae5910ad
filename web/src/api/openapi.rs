//! The description of the API, made from the table that routes it, so that it cannot leave an operation out.

#![allow(unused_qualifications, reason = "the derive qualifies every name that it is given")]

use std::sync::LazyLock;

use bytes::Bytes;
use http::{Method, StatusCode};
use utoipa::{
    OpenApi, PartialSchema,
    openapi::{
        Content, Info, Ref, RefOr, Required, Schema,
        path::{HttpMethod, Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn},
        request_body::RequestBodyBuilder,
        response::ResponseBuilder,
        schema::ArrayBuilder,
        security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme},
    },
};

use super::{
    Route, configuration,
    document::{
        Calendar, CalendarEvent, CalendarException, CalendarPreview, CalendarRow, Created, DayChange, DayOutlook,
        DayTemplate, DriverDetail, Endpoint, EndpointRow, GroupRow, Login, Message, Notification, NotificationRow,
        PasswordChange, PriorityGroup, Settings, Trigger, TriggerRow, Week,
    },
    general, routes, servers,
};
use crate::{
    needs::{
        Accepted, Attention, Beat, Conflict, ConflictRow, Deprovisioned, DiskView, DrillBell, DrillCase, DrillDriver,
        DrillEndpoint, DrillReport, DriverBrief, DriverFile, DriverKey, DriverOnServer, DriverPin, DriverSwitch,
        DriverView, Drivers, Duty, EndpointResult, EventIn, EventView, FieldProblem, FoundFile, GroupDeleted,
        InterfaceChoice, Licence, LocalSettings, LocalSettingsView, LogLine, Moment, Named, NewDriverKey, OtherServer,
        PhoneLogin, Problem, PromoteRequest, Promoted, Redundancy, RedundancySettings, Returning, Running, Sender,
        SentBy, SentDetail, SentPage, SentRow, ServerRow, ServerStatus, ServerVersions, State, Status, UserView,
        WhatIf, WhatIfBell, WhatIfDay, WhatIfEndpoint, WhatIfMember, WhatIfRun,
    },
    reply::{self, Reply},
    roles::role_name,
};

#[derive(OpenApi)]
#[openapi(components(schemas(
    Accepted,
    Attention,
    Calendar,
    CalendarEvent,
    CalendarException,
    CalendarPreview,
    CalendarRow,
    DayChange,
    DayOutlook,
    DayTemplate,
    EventView,
    Week,
    Conflict,
    ConflictRow,
    Created,
    Deprovisioned,
    DiskView,
    DrillBell,
    DrillCase,
    DrillDriver,
    DrillEndpoint,
    DrillReport,
    Redundancy,
    RedundancySettings,
    Returning,
    WhatIf,
    WhatIfBell,
    WhatIfDay,
    WhatIfEndpoint,
    WhatIfMember,
    WhatIfRun,
    DriverBrief,
    DriverDetail,
    DriverFile,
    DriverKey,
    DriverOnServer,
    DriverPin,
    DriverSwitch,
    DriverView,
    Drivers,
    Duty,
    Endpoint,
    EndpointResult,
    EndpointRow,
    EventIn,
    FieldProblem,
    FoundFile,
    GroupDeleted,
    GroupRow,
    InterfaceChoice,
    LocalSettings,
    LocalSettingsView,
    Licence,
    LogLine,
    Login,
    Message,
    Moment,
    Named,
    NewDriverKey,
    Notification,
    NotificationRow,
    OtherServer,
    PasswordChange,
    PhoneLogin,
    PriorityGroup,
    Problem,
    PromoteRequest,
    Promoted,
    Running,
    Sender,
    SentBy,
    SentDetail,
    SentPage,
    SentRow,
    ServerRow,
    ServerStatus,
    ServerVersions,
    configuration::PhoneLoginChange,
    configuration::ServerName,
    Settings,
    State,
    Beat,
    Status,
    Trigger,
    TriggerRow,
    UserView,
    general::Session,
    general::Stopped,
    servers::Confirmation,
    servers::LicenceLimit,
    servers::Rebuild
)))]
struct Documents;

/// `/api/v1/openapi.json`.
pub fn answer() -> Reply {
    static TEXT: LazyLock<Bytes> = LazyLock::new(|| {
        let text = serde_json::to_string(&describe()).expect("a description is plain data");
        Bytes::from(text)
    });
    reply::with_type(StatusCode::OK, "application/json", TEXT.clone())
}

fn describe() -> utoipa::openapi::OpenApi {
    let mut api = Documents::openapi();
    api.info = Info::new("OneAlert", "1");
    api.info.description = Some(
        "Everything that the pages can do. Sign in with Basic authentication, with the token of POST /login as a bearer \
         token, or with the pages' cookie. Every problem is application/problem+json."
            .to_owned(),
    );
    let components = api.components.get_or_insert_default();
    components.add_security_scheme("basic", SecurityScheme::Http(Http::new(HttpAuthScheme::Basic)));
    components.add_security_scheme("bearer", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    for route in routes() {
        let path = format!("/api/v1{}", route.path);
        api.paths.add_path_operation(path, vec![method(&route.method)], operation(route));
    }
    api.paths.add_path_operation("/api/v1/login", vec![HttpMethod::Post], login());
    api.paths.add_path_operation("/api/v1/status/stream", vec![HttpMethod::Get], stream());
    api
}

fn method(method: &Method) -> HttpMethod {
    match *method {
        Method::POST => HttpMethod::Post,
        Method::PUT => HttpMethod::Put,
        Method::DELETE => HttpMethod::Delete,
        _ => HttpMethod::Get,
    }
}

fn operation(route: &Route) -> Operation {
    let least = role_name(route.action.least());
    let mut operation = OperationBuilder::new()
        .summary(Some(route.summary))
        .description(Some(format!("Needs the role {least} or higher.")))
        .tag(route.path.trim_start_matches('/').split('/').next().unwrap_or_default())
        .security(SecurityRequirement::new("basic", Vec::<String>::new()))
        .security(SecurityRequirement::new("bearer", Vec::<String>::new()));
    if route.path.contains("{id}") {
        operation = operation.parameter(text("id", ParameterIn::Path, "The key.", Required::True));
    }
    if route.method == Method::PUT || route.method == Method::DELETE {
        let about = "The ETag of the row as it was read; 409 when it has changed since.";
        operation = operation.parameter(text("If-Match", ParameterIn::Header, about, Required::False));
    }
    match (&route.method, route.path) {
        (&Method::DELETE, "/groups/{id}") => {
            let about = "The group that its triggers and calendars go to; needed while there are any.";
            operation = operation.parameter(text("move_to", ParameterIn::Query, about, Required::False));
        }
        (_, "/notifications/{id}/send") => {
            let about = "The same key from the same user means the same send: it is not sent twice.";
            operation = operation.parameter(text("Idempotency-Key", ParameterIn::Header, about, Required::False));
        }
        (_, "/redundancy/what-if") => {
            for (name, about) in [
                (
                    "trigger",
                    "The trigger that goes off. One of trigger, notification, calendar and calendars is needed.",
                ),
                ("notification", "Or the notification that is sent by hand."),
                ("calendar", "Or the calendar whose bells ring."),
                ("calendars", "Or all: the bells of every calendar."),
                (
                    "at",
                    "Of a trigger or notification, when: milliseconds since 1970, or like 2026-11-23T10:42. Now if left out.",
                ),
                (
                    "on",
                    "Of bells, the day (2026-11-30) or the minute (2026-11-30T08:00; where nothing is due in it, what is next \
                     after it), in the calendar's zone. The next of each calendar if left out.",
                ),
                ("dead", "The id of a server assumed dead; may be given several times."),
            ] {
                operation = operation.parameter(text(name, ParameterIn::Query, about, Required::False));
            }
        }
        (_, "/sent") => {
            for (name, about) in [
                ("q", "Part of the name or source."),
                ("server", "A server's id."),
                ("outcome", "success, partial, error, stopped or missed."),
                ("limit", "How many, 500 at most."),
                ("after", "The cursor of the page before: its next."),
            ] {
                operation = operation.parameter(text(name, ParameterIn::Query, about, Required::False));
            }
        }
        _ => {}
    }
    if let Some(body) = route.body {
        let body = RequestBodyBuilder::new().content("application/json", Content::new(Some(schema(body))));
        operation = operation.request_body(Some(body.required(Some(Required::True)).build()));
    }
    let status = match (route.answer, &route.method) {
        (None, _) => "204",
        (Some("Accepted"), _) => "202",
        (Some("Created"), _) => "201",
        (Some(_), _) => "200",
    };
    let mut answer = ResponseBuilder::new().description("Done.");
    if let Some(name) = route.answer {
        answer = answer.content("application/json", Content::new(Some(schema(name))));
    }
    operation.response(status, answer.build()).response("default", problem()).build()
}

fn login() -> Operation {
    let body = RequestBodyBuilder::new().content("application/json", Content::new(Some(schema("Login"))));
    let answer = ResponseBuilder::new()
        .description("Signed in; the token is for Authorization: Bearer.")
        .content("application/json", Content::new(Some(schema("Session"))));
    OperationBuilder::new()
        .summary(Some("Sign in."))
        .tag("session")
        .request_body(Some(body.required(Some(Required::True)).build()))
        .response("200", answer.build())
        .response("default", problem())
        .build()
}

fn stream() -> Operation {
    let answer = ResponseBuilder::new()
        .description("Server-sent events named status: status and running in whole, at each change.")
        .content("text/event-stream", Content::new(Some(String::schema())));
    OperationBuilder::new()
        .summary(Some("The live state."))
        .tag("status")
        .security(SecurityRequirement::new("basic", Vec::<String>::new()))
        .security(SecurityRequirement::new("bearer", Vec::<String>::new()))
        .response("200", answer.build())
        .response("default", problem())
        .build()
}

fn text(name: &str, place: ParameterIn, about: &str, required: Required) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(place)
        .description(Some(about))
        .required(required)
        .schema(Some(String::schema()))
        .build()
}

fn problem() -> utoipa::openapi::Response {
    ResponseBuilder::new()
        .description("It was not done, and why.")
        .content("application/problem+json", Content::new(Some(schema("Problem"))))
        .build()
}

/// A document by its name; `[Name]` is a list of them.
fn schema(name: &str) -> RefOr<Schema> {
    match name.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
        Some(item) => RefOr::T(Schema::Array(ArrayBuilder::new().items(Ref::from_schema_name(item)).build())),
        None => RefOr::Ref(Ref::from_schema_name(name)),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use onealert_core::{
        calendar,
        config::{self, Audio, Behaviour, OnTakeover, Priority},
        ids::{DriverId, EndpointId, GroupId, NotificationId, TriggerId},
    };
    use serde_json::{Value, json};

    use super::*;

    fn document() -> Value {
        serde_json::to_value(describe()).expect("a description is plain data")
    }

    #[test]
    fn every_reference_leads_somewhere() {
        fn references(value: &Value, found: &mut BTreeSet<String>) {
            match value {
                Value::Object(object) => {
                    if let Some(Value::String(target)) = object.get("$ref") {
                        found.insert(target.clone());
                    }
                    object.values().for_each(|value| references(value, found));
                }
                Value::Array(list) => list.iter().for_each(|value| references(value, found)),
                _ => {}
            }
        }
        let document = document();
        let mut found = BTreeSet::new();
        references(&document, &mut found);
        assert!(found.len() > 20, "{found:?}");
        for target in found {
            let pointer = target.strip_prefix('#').expect("local references only");
            assert!(document.pointer(pointer).is_some(), "{target} leads nowhere");
        }
    }

    #[test]
    fn every_route_is_described_with_its_role() {
        let document = document();
        for route in routes() {
            let operation = &document["paths"][format!("/api/v1{}", route.path)][route.method.as_str().to_lowercase()];
            let about = operation["description"].as_str().unwrap_or_default();
            assert!(about.contains(role_name(route.action.least())), "{} {}: {about:?}", route.method, route.path);
        }
    }

    #[test]
    fn the_described_rows_have_the_fields_of_the_real_ones() {
        let notification = config::Notification {
            id: NotificationId::from("n"),
            name: String::new(),
            priority: Priority::Page,
            triggers: Vec::new(),
            endpoints: Vec::new(),
            message: config::Message { audio: Audio::None, ..config::Message::default() },
            on_takeover: OnTakeover::Replay,
        };
        let endpoint = config::Endpoint {
            id: EndpointId::from("e"),
            name: String::new(),
            driver: DriverId::from("d"),
            address: Value::Null,
            location: String::new(),
        };
        let trigger = config::Trigger {
            id: TriggerId::from("t"),
            name: String::new(),
            driver: None,
            settings: Value::Null,
            group: GroupId::from("g"),
            behaviour: Behaviour::Start,
            late_limit_ms: None,
        };
        let group = config::PriorityGroup { id: GroupId::from("g"), name: String::new(), servers: Vec::new() };
        let exception = calendar::Exception {
            from: "2026-09-01".parse().expect("a date"),
            to: "2026-09-01".parse().expect("a date"),
            template: None,
            reason: String::new(),
        };
        let event = calendar::CalendarEvent {
            name: String::new(),
            at: "08:00".parse().expect("a time"),
            notifications: Vec::new(),
            paused: false,
        };
        let day = calendar::DayTemplate { name: String::new(), events: Vec::new() };
        let bells = calendar::Calendar::new("c".into(), "", "UTC", GroupId::from("g"));
        let real = [
            ("Calendar", json!(bells)),
            ("Week", json!(bells.week)),
            ("DayTemplate", json!(day)),
            ("CalendarEvent", json!(event)),
            ("CalendarException", json!(exception)),
            ("Notification", json!(notification)),
            ("Message", json!(notification.message)),
            ("Endpoint", json!(endpoint)),
            ("Trigger", json!(trigger)),
            ("PriorityGroup", json!(group)),
        ];
        let keys = |value: &Value| value.as_object().expect("an object").keys().cloned().collect::<BTreeSet<_>>();
        for (name, value) in real {
            let described = &document()["components"]["schemas"][name]["properties"];
            assert_eq!(keys(described), keys(&value), "{name}");
        }
    }
}
