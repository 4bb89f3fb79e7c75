//! The REST-XML API, version 2013-04-01.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr};

use axum::Router;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{AppendHeaders, IntoResponse, Response};
use jiff::Timestamp;
use roxmltree::Document;

use super::super::Site;
use super::super::faults::Condition;
use super::super::net::{GatedListener, Place};
use super::super::world::World;
use super::super::xml::{document, leaf, node, optional};
use super::batch::Batch;
use super::checks::{HealthCheck, UpdateRefusal, creation};
use super::records::{RecordSet, sort_key};
use super::{Change, NAME_SERVERS, Zone, Zones};

const NAMESPACE: &str = "https://route53.amazonaws.com/doc/2013-04-01/";
const PLACE: Place = Place::global("route53");

/// The most items of one answer.
const PAGE: usize = 300;

type Questions = BTreeMap<String, String>;

/// What is answered: the root element and its children, or a refusal.
type Answered = Result<Reply, Refusal>;

struct Reply {
    status: StatusCode,
    root: &'static str,
    children: Vec<String>,
    location: Option<String>,
}

impl Reply {
    fn ok(root: &'static str, children: impl IntoIterator<Item = String>) -> Answered {
        Ok(Self { status: StatusCode::OK, root, children: children.into_iter().collect(), location: None })
    }
}

struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl Refusal {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }
    fn input(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "InvalidInput", message)
    }
    fn no_zone(id: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NoSuchHostedZone", format!("No hosted zone found with ID: {id}"))
    }
    fn no_check(id: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "NoSuchHealthCheck",
            format!("No health check exists with the specified ID: {id}"),
        )
    }
}

pub async fn start(site: &mut Site<'_>) -> io::Result<()> {
    let listener = GatedListener::bind(site.world, PLACE, IpAddr::V4(Ipv4Addr::LOCALHOST), 0).await?;
    site.endpoints.insert("route53".into(), format!("http://{}", listener.address()?));
    let router = Router::new().fallback(serve).with_state(site.world.clone());
    site.tasks.spawn(async move {
        // Serving ends only with the lab.
        let _ = axum::serve(listener, router).await;
    });
    Ok(())
}

async fn serve(
    State(world): State<World>,
    method: Method,
    uri: Uri,
    Query(questions): Query<Questions>,
    headers: HeaderMap,
    body: String,
) -> Response {
    let answered = admit(&world, &headers).and_then(|()| {
        let path = uri.path().trim_matches('/');
        let segments: Vec<&str> = path.split('/').collect();
        match segments.split_first() {
            Some((&"2013-04-01", rest)) => route(&world, &method, rest, &questions, &body),
            _ => Err(no_operation(&method, path)),
        }
    });
    let request = Timestamp::now().as_nanosecond();
    let (status, location, text) = match answered {
        Ok(reply) => (reply.status, reply.location, document(reply.root, NAMESPACE, reply.children)),
        Err(refusal) => {
            let error = [leaf("Type", "Sender"), leaf("Code", refusal.code), leaf("Message", refusal.message)];
            let children = [node("Error", error), leaf("RequestId", request)];
            (refusal.status, None, document("ErrorResponse", NAMESPACE, children))
        }
    };
    let headers = [(header::CONTENT_TYPE, "text/xml".to_owned()), (header::SERVER, "Route53".to_owned())];
    let location = AppendHeaders(location.map(|to| (header::LOCATION, to)));
    (status, headers, [("x-amzn-requestid", request.to_string())], location, text).into_response()
}

fn admit(world: &World, headers: &HeaderMap) -> Result<(), Refusal> {
    match PLACE.condition(world) {
        Condition::Denied => {
            let what = "User: arn:aws:iam::000000000000:user/lab is not authorized to perform this operation";
            Err(Refusal::new(StatusCode::FORBIDDEN, "AccessDenied", what))
        }
        Condition::Throttled => Err(Refusal::new(StatusCode::BAD_REQUEST, "Throttling", "Rate exceeded")),
        _ if !headers.contains_key(header::AUTHORIZATION) => {
            Err(Refusal::new(StatusCode::FORBIDDEN, "MissingAuthenticationToken", "Missing Authentication Token"))
        }
        _ => Ok(()),
    }
}

fn no_operation(method: &Method, path: &str) -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, "UnknownOperation", format!("{method} /{path} is not an operation of this lab"))
}

fn route(world: &World, method: &Method, path: &[&str], questions: &Questions, body: &str) -> Answered {
    let truth = &mut *world.truth();
    let zones = &mut truth.route53;
    let get = method == Method::GET;
    match path {
        ["hostedzone"] if get => list_zones(zones),
        ["hostedzonesbyname"] if get => list_zones_by_name(zones, questions),
        ["hostedzone", id] if get => get_zone(zones, id),
        ["hostedzone", id, "rrset"] if get => list_records(zones, id, questions),
        ["change", id] if get => get_change(zones, id),
        ["healthcheck"] if get => list_checks(zones),
        ["healthcheck", id] if get => get_check(zones, id),
        ["healthcheck", id, "status"] if get => {
            let check = zones.checks.get(*id).ok_or_else(|| Refusal::no_check(id))?;
            if check.settings.is_calculated() || check.settings.control.is_some() {
                return Err(Refusal::input("The status of such a health check is not told"));
            }
            Reply::ok("GetHealthCheckStatusResponse", [check.observations(Timestamp::now())])
        }
        ["hostedzone", id, "rrset"] if method == Method::POST => {
            let (answered, target) = change_records(zones, id, body, world);
            truth.record("route53", "ChangeResourceRecordSets", &target, answered.is_ok());
            answered
        }
        ["healthcheck"] if method == Method::POST => {
            let answered = create_check(zones, body);
            truth.record("route53", "CreateHealthCheck", "", answered.is_ok());
            answered
        }
        ["healthcheck", id] if method == Method::POST => {
            let answered = update_check(zones, id, body);
            truth.record("route53", "UpdateHealthCheck", id, answered.is_ok());
            answered
        }
        _ => Err(no_operation(method, &path.join("/"))),
    }
}

fn parsed(body: &str) -> Result<Document<'_>, Refusal> {
    Document::parse(body).map_err(|e| Refusal::new(StatusCode::BAD_REQUEST, "MalformedInput", e.to_string()))
}

fn zone_xml(zone: &Zone) -> String {
    node(
        "HostedZone",
        [
            leaf("Id", format!("/hostedzone/{}", zone.id)),
            leaf("Name", &zone.name),
            leaf("CallerReference", &zone.id),
            node("Config", [leaf("PrivateZone", false)]),
            leaf("ResourceRecordSetCount", zone.records.len()),
            if zone.accelerated {
                node("Features", [leaf("AcceleratedRecoveryStatus", "ENABLED")])
            } else {
                String::new()
            },
        ],
    )
}

fn list_zones(zones: &Zones) -> Answered {
    let all = node("HostedZones", zones.zones.iter().map(zone_xml));
    Reply::ok("ListHostedZonesResponse", [all, leaf("IsTruncated", false), leaf("MaxItems", PAGE)])
}

fn list_zones_by_name(zones: &Zones, questions: &Questions) -> Answered {
    let from = questions.get("dnsname").map(|name| sort_key(name, "", ""));
    let fits = |zone: &&Zone| from.as_ref().is_none_or(|from| sort_key(&zone.name, "", "") >= *from);
    let all = node("HostedZones", zones.zones.iter().filter(fits).map(zone_xml));
    let asked = optional("DNSName", questions.get("dnsname"));
    Reply::ok("ListHostedZonesByNameResponse", [all, asked, leaf("IsTruncated", false), leaf("MaxItems", PAGE)])
}

fn get_zone(zones: &Zones, id: &str) -> Answered {
    let zone = zones.zone(id).ok_or_else(|| Refusal::no_zone(id))?;
    let servers = node("NameServers", NAME_SERVERS.map(|server| leaf("NameServer", server)));
    Reply::ok("GetHostedZoneResponse", [zone_xml(zone), node("DelegationSet", [servers])])
}

fn list_records(zones: &Zones, id: &str, questions: &Questions) -> Answered {
    let zone = zones.zone(id).ok_or_else(|| Refusal::no_zone(id))?;
    let asked = |name: &str| questions.get(name).map(String::as_str).unwrap_or_default();
    if questions.contains_key("type") && !questions.contains_key("name") {
        return Err(Refusal::input("The input is not valid: a type needs a name"));
    }
    let limit = match questions.get("maxitems") {
        Some(limit) => limit.parse::<usize>().map_err(|_| Refusal::input(format!("Invalid MaxItems '{limit}'")))?,
        None => PAGE,
    };
    let limit = limit.clamp(1, PAGE);
    let from = questions.get("name").map(|name| sort_key(name, asked("type"), asked("identifier")));
    let mut rest = zone.records.iter().filter(|set| from.as_ref().is_none_or(|from| set.key() >= *from));
    let page: Vec<String> = rest.by_ref().take(limit).map(RecordSet::to_xml).collect();
    let next = rest.next();
    Reply::ok(
        "ListResourceRecordSetsResponse",
        [
            node("ResourceRecordSets", page),
            leaf("IsTruncated", next.is_some()),
            optional("NextRecordName", next.map(|set| &set.name)),
            optional("NextRecordType", next.map(|set| set.kind)),
            optional("NextRecordIdentifier", next.and_then(|set| set.identifier.as_ref())),
            leaf("MaxItems", limit),
        ],
    )
}

fn change_xml(change: &Change) -> String {
    node(
        "ChangeInfo",
        [
            leaf("Id", format!("/change/{}", change.id)),
            leaf("Status", if change.after.is_some() { "PENDING" } else { "INSYNC" }),
            leaf("SubmittedAt", change.submitted),
            optional("Comment", change.comment.as_ref()),
        ],
    )
}

fn change_records(zones: &mut Zones, id: &str, body: &str, world: &World) -> (Answered, String) {
    let read = parsed(body).and_then(|document| Batch::from_xml(document.root_element()).map_err(Refusal::input));
    let batch = match read {
        Ok(batch) => batch,
        Err(refusal) => return (Err(refusal), id.to_owned()),
    };
    let target = batch.target();
    if zones.zone(id).is_none() {
        return (Err(Refusal::no_zone(id)), target);
    }
    let answered = match zones.change(id, batch, world.pace) {
        Ok(change) => Reply::ok("ChangeResourceRecordSetsResponse", [change_xml(change)]),
        Err(wrong) => {
            let message = format!("[{}]", wrong.join(", "));
            Err(Refusal::new(StatusCode::BAD_REQUEST, "InvalidChangeBatch", message))
        }
    };
    (answered, target)
}

fn get_change(zones: &Zones, id: &str) -> Answered {
    let change = zones.changes.iter().find(|change| change.id == id);
    let change = change.ok_or_else(|| {
        Refusal::new(StatusCode::NOT_FOUND, "NoSuchChange", format!("Could not find resource with ID: {id}"))
    })?;
    Reply::ok("GetChangeResponse", [change_xml(change)])
}

fn list_checks(zones: &Zones) -> Answered {
    let all = node("HealthChecks", zones.checks.values().map(HealthCheck::to_xml));
    Reply::ok("ListHealthChecksResponse", [all, leaf("IsTruncated", false), leaf("Marker", ""), leaf("MaxItems", PAGE)])
}

fn get_check(zones: &Zones, id: &str) -> Answered {
    let check = zones.checks.get(id).ok_or_else(|| Refusal::no_check(id))?;
    Reply::ok("GetHealthCheckResponse", [check.to_xml()])
}

fn create_check(zones: &mut Zones, body: &str) -> Answered {
    let document = parsed(body)?;
    let (reference, settings) = creation(document.root_element()).map_err(Refusal::input)?;
    if let Some(old) = zones.checks.values().find(|check| check.reference == reference) {
        // The same call again is answered with what is there; the same reference for something else is refused.
        if old.settings != settings {
            let what = "A health check with the same caller reference and other settings exists already";
            return Err(Refusal::new(StatusCode::CONFLICT, "HealthCheckAlreadyExists", what));
        }
        return Ok(created(old));
    }
    zones.serial += 1;
    let id = format!("{:08x}-0000-4000-8000-000000000000", zones.serial);
    let check = HealthCheck::new(&id, &reference, settings, Timestamp::now());
    Ok(created(zones.checks.entry(id).or_insert(check)))
}

fn created(check: &HealthCheck) -> Reply {
    Reply {
        status: StatusCode::CREATED,
        root: "CreateHealthCheckResponse",
        children: vec![check.to_xml()],
        location: Some(format!("https://route53.amazonaws.com/2013-04-01/healthcheck/{}", check.id)),
    }
}

fn update_check(zones: &mut Zones, id: &str, body: &str) -> Answered {
    let document = parsed(body)?;
    let check = zones.checks.get_mut(id).ok_or_else(|| Refusal::no_check(id))?;
    match check.update(document.root_element()) {
        Ok(()) => Reply::ok("UpdateHealthCheckResponse", [check.to_xml()]),
        Err(UpdateRefusal::Version(present)) => Err(Refusal::new(
            StatusCode::CONFLICT,
            "HealthCheckVersionMismatch",
            format!("The health check version in the request does not match the current version {present}"),
        )),
        Err(UpdateRefusal::Invalid(what)) => Err(Refusal::input(what)),
    }
}
