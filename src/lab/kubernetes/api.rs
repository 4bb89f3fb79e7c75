//! The API server of a region: who asks, what for, and in which form.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr};

use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::Site;
use super::super::faults::Condition;
use super::super::handout::KUBERNETES_TOKEN;
use super::super::net::{GatedListener, Place};
use super::super::world::World;
use super::objects::scale;
use super::patch::Style;
use super::refusal::Refusal;
use super::resources::{AUTHORIZATION, RESOURCES, Resource, discovery};
use super::selector::Selector;
use super::table::table;
use super::view::View;
use super::watch::Watch;
use super::writes::Write;
use super::{NAMESPACE, PLACE};

#[derive(Clone)]
struct Server {
    world: World,
    region: &'static str,
}

struct Request<'a> {
    method: Method,
    path: Vec<&'a str>,
    questions: BTreeMap<String, String>,
    headers: HeaderMap,
    body: Bytes,
}

/// Which objects of the API a path names.
struct Target<'a> {
    resource: &'static Resource,
    /// Whether it can be there at all: everything is in one namespace.
    exists: bool,
    name: Option<&'a str>,
    scale: bool,
}

pub async fn start(site: &mut Site<'_>) -> io::Result<()> {
    for region in site.world.extent.regions().iter().copied() {
        let server = Server { world: site.world.clone(), region };
        let place = Place::regional(PLACE, region);
        let listener = GatedListener::bind(site.world, place, IpAddr::V4(Ipv4Addr::LOCALHOST), 0).await?;
        site.endpoints.insert(format!("kubernetes.{region}"), format!("http://{}", listener.address()?));
        let router = Router::new().fallback(serve).with_state(server);
        site.tasks.spawn(async move {
            // Serving ends only with the lab.
            let _ = axum::serve(listener, router).await;
        });
    }
    Ok(())
}

async fn serve(
    State(server): State<Server>,
    method: Method,
    uri: Uri,
    Query(questions): Query<BTreeMap<String, String>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let path: Vec<&str> = uri.path().split('/').filter(|segment| !segment.is_empty()).collect();
    let request = Request { method, path, questions, headers, body };
    server.answer(&request).unwrap_or_else(Refusal::into_response)
}

impl Server {
    fn answer(&self, request: &Request<'_>) -> Result<Response, Refusal> {
        let path = request.path.as_slice();
        if let ["healthz" | "livez" | "readyz"] = path {
            return Ok("ok".into_response());
        }
        if !request.is_authenticated() {
            return Err(Refusal::new(StatusCode::UNAUTHORIZED, "Unauthorized", "Unauthorized"));
        }
        let condition = self.world.condition(PLACE, Some(self.region));
        if condition == Condition::Throttled {
            let message = "the server has received too many requests and has asked us to try again later";
            return Err(Refusal::new(StatusCode::TOO_MANY_REQUESTS, "TooManyRequests", message));
        }
        if path == ["apis", AUTHORIZATION.0, AUTHORIZATION.1, "selfsubjectaccessreviews"] {
            return review(request, condition);
        }
        if request.method == Method::GET
            && let Some(document) = discovery(path)
        {
            return Ok(Json(document).into_response());
        }
        let target = target(path).ok_or_else(Refusal::no_page)?;
        match request.method {
            _ if condition == Condition::Denied => Err(self.forbidden(request, &target)),
            Method::PUT | Method::PATCH if condition == Condition::ReadOnly => Err(self.forbidden(request, &target)),
            Method::GET => self.read(request, &target),
            Method::PUT | Method::PATCH => self.write(request, &target),
            _ => Err(Refusal::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "MethodNotAllowed",
                "the server does not allow this method on the requested resource",
            )),
        }
    }

    fn forbidden(&self, request: &Request<'_>, target: &Target<'_>) -> Refusal {
        let (resource, name) = (target.resource, target.name.unwrap_or_default());
        if request.method != Method::GET {
            self.record(request, target, false);
        }
        let what = format!(
            "is forbidden: User \"lab\" cannot {} resource \"{}\" in API group \"{}\" in the namespace \"{NAMESPACE}\"",
            request.method.as_str().to_lowercase(),
            resource.plural,
            resource.group
        );
        Refusal::about(resource, name, StatusCode::FORBIDDEN, "Forbidden", &what)
    }

    fn record(&self, request: &Request<'_>, target: &Target<'_>, accepted: bool) {
        let place = Place::regional(PLACE, self.region).to_string();
        let part = if target.scale { "/scale" } else { "" };
        let action = format!("{} {}{part}", request.method, target.resource.plural);
        self.world.truth().record(&place, &action, target.name.unwrap_or_default(), accepted);
    }

    fn read(&self, request: &Request<'_>, target: &Target<'_>) -> Result<Response, Refusal> {
        let (kind, resource) = (target.resource.kind, target.resource);
        let as_table = request.accepts_table();
        let selector = Selector::new(request.questions.get("fieldSelector"), request.questions.get("labelSelector"))
            .map_err(Refusal::bad_request)?;
        if target.name.is_none() && request.says("watch") {
            return Ok(self.watch(request, target, selector, as_table));
        }
        let truth = self.world.truth();
        let view = &truth.kubernetes.get(self.region).ok_or_else(Refusal::no_page)?.view;
        let version = view.version().to_string();
        let Some(name) = target.name else {
            let found = view.all(kind).filter(|object| target.exists && selector.takes(object));
            let (found, next) = request.page(view, found.collect())?;
            if as_table {
                let mut table = table(kind, found.into_iter(), &version);
                table["metadata"]["continue"] = next.into();
                return Ok(Json(table).into_response());
            }
            let list = json!({
                "kind": format!("{}List", resource.object),
                "apiVersion": resource.api_version(),
                "metadata": { "resourceVersion": version, "continue": next },
                "items": found,
            });
            return Ok(Json(list).into_response());
        };
        let object = view.get(kind, name).filter(|_| target.exists);
        let object = object.ok_or_else(|| Refusal::not_found(resource, name))?;
        Ok(match (target.scale, as_table) {
            (true, _) => Json(scale(object)).into_response(),
            (_, true) => Json(table(kind, [object].into_iter(), &version)).into_response(),
            _ => Json(object).into_response(),
        })
    }

    fn watch(&self, request: &Request<'_>, target: &Target<'_>, selector: Selector, as_table: bool) -> Response {
        let number = |name: &str| request.questions.get(name).and_then(|text| text.parse::<u64>().ok());
        let watch = Watch {
            world: self.world.clone(),
            region: self.region,
            kind: target.resource.kind,
            selector,
            as_table,
            since: number("resourceVersion").filter(|version| *version > 0),
        };
        watch.answer(number("timeoutSeconds"))
    }

    fn write(&self, request: &Request<'_>, target: &Target<'_>) -> Result<Response, Refusal> {
        let name = target.name.filter(|_| target.resource.writable).ok_or_else(Refusal::no_page)?;
        let dry = request.dry_run()?;
        let change = Write {
            resource: target.resource,
            name,
            scale: target.scale,
            patch: request.style()?,
            body: serde_json::from_slice(&request.body).map_err(|error| Refusal::bad_request(error.to_string()))?,
            dry,
        };
        let made = match self.world.truth().kubernetes.get_mut(self.region).filter(|_| target.exists) {
            Some(cluster) => change.make(cluster, Timestamp::now()),
            None => Err(Refusal::not_found(target.resource, name)),
        };
        if !dry {
            self.record(request, target, made.is_ok());
        }
        made.map(|object| Json(object).into_response())
    }
}

impl Request<'_> {
    fn header(&self, name: HeaderName) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// kubectl keeps the credentials of a kubeconfig to itself unless the connection is TLS (client-go, `IsConfigTransportTLS`), and
    /// this lab has none; so kubectl is let in without them.
    fn is_authenticated(&self) -> bool {
        match self.header(header::AUTHORIZATION) {
            "" => self.header(header::USER_AGENT).starts_with("kubectl"),
            sent => sent.strip_prefix("Bearer ") == Some(KUBERNETES_TOKEN),
        }
    }

    fn says(&self, question: &str) -> bool {
        self.questions.get(question).is_some_and(|value| value == "true" || value == "1")
    }

    fn accepts_table(&self) -> bool {
        self.header(header::ACCEPT).contains("as=Table")
    }

    /// As many of `found` as are asked for, after those that were told, and what to ask for the rest with. The rest is told only as long as
    /// it is known what happened since (<https://kubernetes.io/docs/reference/using-api/api-concepts/>).
    fn page<'v>(&self, view: &View, mut found: Vec<&'v Value>) -> Result<(Vec<&'v Value>, String), Refusal> {
        let name = |object: &Value| object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        found.sort_by_key(|object| name(object));
        let mut version = view.version();
        if let Some(token) = self.questions.get("continue").filter(|token| !token.is_empty()) {
            let (since, after) = token.split_once('/').unwrap_or(("", token));
            version = since.parse().map_err(|_| Refusal::bad_request("continue key is not valid"))?;
            if view.is_forgotten(version) {
                let message = "The provided continue parameter is too old to display a consistent list result.";
                return Err(Refusal::new(StatusCode::GONE, "Expired", message));
            }
            found.retain(|object| name(object).as_str() > after);
        }
        let limit = self.questions.get("limit").and_then(|limit| limit.parse().ok()).filter(|limit| *limit > 0);
        let rest = limit.is_some_and(|limit: usize| limit < found.len());
        found.truncate(limit.unwrap_or(usize::MAX));
        let next = found.last().filter(|_| rest).map(|last| format!("{version}/{}", name(last)));
        Ok((found, next.unwrap_or_default()))
    }

    fn dry_run(&self) -> Result<bool, Refusal> {
        match self.questions.get("dryRun").map(String::as_str) {
            None | Some("") => Ok(false),
            Some("All") => Ok(true),
            Some(other) => Err(Refusal::bad_request(format!("dryRun: Unsupported value: \"{other}\""))),
        }
    }

    /// How the body is to be merged; `None` for PUT.
    fn style(&self) -> Result<Option<Style>, Refusal> {
        if self.method == Method::PUT {
            return Ok(None);
        }
        let said = self.header(header::CONTENT_TYPE);
        let unknown = || {
            let message = format!("this lab takes merge and strategic merge patches, not `{said}`");
            Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", message)
        };
        Style::of(said).map(Some).ok_or_else(unknown)
    }
}

fn review(request: &Request<'_>, condition: Condition) -> Result<Response, Refusal> {
    if request.method != Method::POST {
        return Err(Refusal::no_page());
    }
    // kubectl asks this in protobuf: then what is asked cannot be told, and is taken for a look.
    let asked = serde_json::from_slice(&request.body).ok().filter(Value::is_object);
    let mut review = asked.unwrap_or_else(|| json!({}));
    let verb = review["spec"]["resourceAttributes"]["verb"].as_str().unwrap_or("get");
    let looks = matches!(verb, "get" | "list" | "watch");
    let allowed = condition != Condition::Denied && (looks || condition != Condition::ReadOnly);
    review["kind"] = "SelfSubjectAccessReview".into();
    review["apiVersion"] = format!("{}/{}", AUTHORIZATION.0, AUTHORIZATION.1).into();
    review["status"] = json!({ "allowed": allowed });
    Ok((StatusCode::CREATED, Json(review)).into_response())
}

fn target<'a>(path: &[&'a str]) -> Option<Target<'a>> {
    let (group, version, rest) = match path {
        ["api", version, rest @ ..] => ("", *version, rest),
        ["apis", group, version, rest @ ..] => (*group, *version, rest),
        _ => return None,
    };
    let (namespace, rest) = match rest {
        ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (Some(*namespace), rest),
        rest => (None, rest),
    };
    let (plural, name, part) = match rest {
        [plural] => (*plural, None, None),
        [plural, name] => (*plural, Some(*name), None),
        [plural, name, part] => (*plural, Some(*name), Some(*part)),
        _ => return None,
    };
    let resource = RESOURCES.iter().find(|it| (it.group, it.version, it.plural) == (group, version, plural))?;
    let placed = if resource.namespaced { namespace.is_some() || name.is_none() } else { namespace.is_none() };
    let scale = part == Some("scale") && resource.scalable;
    let exists = namespace.is_none_or(|it| it == resource.namespace);
    (placed && (part.is_none() || scale)).then_some(Target { resource, exists, name, scale })
}
