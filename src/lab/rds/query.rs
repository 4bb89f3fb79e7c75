//! The Query protocol of AWS: an `Action` and its parameters as a form, XML back.
//!
//! <https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/CommonErrors.html>

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;

use super::super::Site;
use super::super::faults::Condition;
use super::super::net::{GatedListener, Place};
use super::super::world::{PRIMARY, World};
use super::super::xml::{document, leaf, node};
use super::Refusal;

/// The parameters of a call, by name: `Filters.Filter.1.Name`.
pub type Form = BTreeMap<String, String>;

/// What a call is answered with: its result's children.
pub type Answered = Result<Vec<String>, Refusal>;

/// A call to one service in one region.
pub struct Ask<'a> {
    pub world: &'a World,
    pub region: &'static str,
    pub action: &'a str,
    pub form: &'a Form,
}

impl Ask<'_> {
    /// # Errors
    /// When the parameter is missing.
    pub fn required(&self, name: &str) -> Result<&str, Refusal> {
        let missing =
            || Refusal::new(400, "MissingParameter", format!("The request must contain the parameter {name}."));
        self.form.get(name).map(String::as_str).ok_or_else(missing)
    }

    pub fn flag(&self, name: &str) -> bool {
        self.form.get(name).is_some_and(|value| value == "true")
    }

    /// # Errors
    /// Always: what this service does not know.
    pub fn unknown(&self) -> Answered {
        Err(Refusal::new(400, "InvalidAction", format!("Could not find operation {}", self.action)))
    }
}

/// The service behind the endpoints.
#[derive(Clone)]
struct Endpoint {
    world: World,
    place: Place,
    region: &'static str,
    answer: Answer,
}

/// What answers the calls of a service.
type Answer = fn(&Ask<'_>) -> Answered;

/// Starts an endpoint of `service` in each region.
///
/// # Errors
/// When a loopback address cannot be listened on.
pub async fn start(site: &mut Site<'_>, service: &'static str, answer: Answer) -> io::Result<()> {
    for region in site.world.extent.regions().iter().copied() {
        listen(site, Place::regional(service, region), format!("{service}.{region}"), answer).await?;
    }
    Ok(())
}

/// Starts the one endpoint of a global `service`.
///
/// # Errors
/// When a loopback address cannot be listened on.
pub async fn start_global(site: &mut Site<'_>, service: &'static str, answer: Answer) -> io::Result<()> {
    listen(site, Place::global(service), service.to_owned(), answer).await
}

async fn listen(site: &mut Site<'_>, place: Place, name: String, answer: Answer) -> io::Result<()> {
    let region = place.region.unwrap_or(PRIMARY);
    let endpoint = Endpoint { world: site.world.clone(), place: place.clone(), region, answer };
    let listener = GatedListener::bind(site.world, place, IpAddr::V4(Ipv4Addr::LOCALHOST), 0).await?;
    site.endpoints.insert(name, format!("http://{}", listener.address()?));
    let router = Router::new().fallback(serve).with_state(endpoint);
    site.tasks.spawn(async move {
        // Serving ends only with the lab.
        let _ = axum::serve(listener, router).await;
    });
    Ok(())
}

async fn serve(State(endpoint): State<Endpoint>, headers: HeaderMap, body: Bytes) -> Response {
    let form: Form = form_urlencoded::parse(&body).into_owned().collect();
    let action = form.get("Action").map(String::as_str).unwrap_or_default();
    let ask = Ask { world: &endpoint.world, region: endpoint.region, action, form: &form };
    let condition = endpoint.place.condition(&endpoint.world);
    let answered = admit(condition, &headers).and_then(|()| (endpoint.answer)(&ask));
    if condition == Condition::LostAnswers && !["Describe", "List", "Get"].iter().any(|it| action.starts_with(it)) {
        let lost = io::Error::new(io::ErrorKind::ConnectionReset, "as the fault of this place asks");
        return Body::from_stream(futures::stream::once(async { Err::<Bytes, _>(lost) })).into_response();
    }
    let id = format!("{:x}", Timestamp::now().as_nanosecond());
    let service = endpoint.place.system;
    let namespace = match service {
        "sts" => "https://sts.amazonaws.com/doc/2011-06-15/",
        "iam" => "https://iam.amazonaws.com/doc/2010-05-08/",
        _ => "http://rds.amazonaws.com/doc/2014-10-31/",
    };
    let (status, xml) = match answered {
        Ok(children) => {
            let metadata = node("ResponseMetadata", [leaf("RequestId", &id)]);
            let result = [node(&format!("{action}Result"), children), metadata];
            (StatusCode::OK, document(&format!("{action}Response"), namespace, result))
        }
        Err(Refusal { status, code, message }) => {
            let error = node("Error", [leaf("Type", "Sender"), leaf("Code", code), leaf("Message", message)]);
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
            (status, document("ErrorResponse", namespace, [error, leaf("RequestId", &id)]))
        }
    };
    (status, [(header::CONTENT_TYPE, "text/xml")], xml).into_response()
}

/// Lets a call in, or not, as the faults of the place and its signature say.
///
/// # Errors
/// When it is not let in.
pub fn admit(condition: Condition, headers: &HeaderMap) -> Result<(), Refusal> {
    match condition {
        Condition::Denied => Err(Refusal::new(403, "AccessDenied", "User is not authorized to perform this action")),
        Condition::Throttled => Err(Refusal::new(400, "Throttling", "Rate exceeded")),
        _ if !headers.contains_key(header::AUTHORIZATION) => {
            Err(Refusal::new(403, "MissingAuthenticationToken", "Request is missing Authentication Token"))
        }
        _ => Ok(()),
    }
}
