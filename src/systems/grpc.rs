//! gRPC: whether a server says that it serves, by the health protocol
//! (<https://github.com/grpc/grpc/blob/master/doc/health-checking.md>), over HTTP/2 with TLS or without.
//!
//! # What an installation can look like
//!
//! | | |
//! |---|---|
//! | `SERVING` | healthy |
//! | `NOT_SERVING`; the status `UNAVAILABLE` | down |
//! | a service that the server does not know (`NOT_FOUND`, `SERVICE_UNKNOWN`) | unknown: it may be misspelt |
//! | no health protocol (`UNIMPLEMENTED`) | unknown: nothing can be asked |
//! | `UNAUTHENTICATED`, `PERMISSION_DENIED`, `RESOURCE_EXHAUSTED` | unknown, "Mayday is refused" |
//! | gRPC-Web, reflection, streaming `Watch` | not spoken |

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue, TE};
use http::{HeaderName, Method};
use http_body_util::{BodyExt, Limited};
use tokio::time::timeout;
use url::Url;

use super::reach::{
    BEARER, CERTIFICATE_AUTHORITY, CLIENT_CERTIFICATE, CLIENT_KEY, Credentials, RESOLVER, Reach, TLS_MINIMUM,
};
use crate::domain::estate::{ProbeSpec, SystemSpec};
use crate::domain::health::Reading;
use crate::domain::kinds::{Param, ParamType, ProbeKind, SystemKind};
use crate::domain::plan::StepSpec;
use crate::domain::recovery::Survey;
use crate::domain::system::{Factory, Fault, Step, Surroundings, System};
use crate::domain::text::clean;
use crate::outbound::wire::talk::{Call, Speech, send};

/// An answer of the protocol takes two bytes.
const LONGEST: usize = 16 * 1024;

pub static KIND: SystemKind = SystemKind {
    name: "grpc",
    title: "gRPC as clients see it",
    ambient: true,
    ways: &[],
    params: &[],
    probes: &[ProbeKind {
        name: "grpc.health",
        title: "A gRPC server says that it serves",
        params: &[
            Param::required("address", ParamType::Address, "where to connect to"),
            Param::default(
                "service",
                ParamType::Text,
                "",
                "the service that is asked for, with its package; the server as a whole when empty",
            ),
            Param::default("tls", ParamType::Flag, "true", "whether TLS is spoken"),
            BEARER,
            Param::optional("headers", ParamType::Headers, "metadata to send"),
            CERTIFICATE_AUTHORITY,
            CLIENT_CERTIFICATE,
            CLIENT_KEY,
            TLS_MINIMUM,
            RESOLVER,
        ],
    }],
    steps: &[],
    backups: &[],
};

/// Makes the one connection there is: none.
pub struct GrpcFactory;

impl Factory for GrpcFactory {
    fn kind(&self) -> &'static SystemKind {
        &KIND
    }
    fn connect(&self, _spec: &SystemSpec, _around: &Surroundings) -> Result<Arc<dyn System>, Fault> {
        Ok(Arc::new(Grpc))
    }
}

struct Grpc;

#[async_trait]
impl System for Grpc {
    async fn probe(&self, spec: &ProbeSpec) -> Reading {
        let (started, patience) = (Instant::now(), spec.timeout.0.mul_f64(0.9));
        let late = || Reading::down(format!("no answer within {:.1} s", patience.as_secs_f64()));
        match timeout(patience, check(spec, patience)).await {
            Ok(Ok(reading) | Err(reading)) => reading.took(started.elapsed()),
            Err(_) => late(),
        }
    }

    fn refuses(&self, spec: &ProbeSpec) -> Option<Fault> {
        Reach::of(&spec.params)
            .vet()
            .and_then(|()| Credentials::of(&spec.params).vet())
            .err()
            .map(|why| Fault::permanent(KIND.name, why))
    }

    async fn survey(&self) -> Result<Survey, Fault> {
        Err(Fault::permanent(KIND.name, "gRPC holds no data of yours")
            .next("remove `class` from it, and run `mayday check`"))
    }

    fn step(&self, spec: &StepSpec) -> Result<Arc<dyn Step>, Fault> {
        Err(Fault::permanent(KIND.name, format!("there is no step `{}`", spec.kind)).next("run `mayday kinds`"))
    }
}

async fn check(spec: &ProbeSpec, patience: Duration) -> Result<Reading, Reading> {
    let params = &spec.params;
    let told = |fault: Fault| Reading::unknown(fault.what);
    let address = params.text("address").map_err(told)?;
    let secured = params.flag("tls");
    let url = format!("{}://{address}/grpc.health.v1.Health/Check", if secured { "https" } else { "http" });
    let url =
        Url::parse(&url).map_err(|error| Reading::unknown(format!("{} cannot be asked: {error}", clean(address))))?;
    let reach = Reach::of(params);
    let (host, port) = (url.host_str().unwrap_or_default().to_owned(), url.port_or_known_default().unwrap_or(443));
    let found = reach.find(&host, port, patience.mul_f64(0.7)).await.map_err(|silence| silence.reading())?;
    let tls = if secured { Some(reach.tls().await.map_err(|silence| silence.reading())?) } else { None };
    let (mut headers, proof) = Credentials::of(params).headers(KIND.name).await.map_err(told)?;
    headers.extend(proof);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(TE, HeaderValue::from_static("trailers"));
    let mut call = Call::new(Method::POST, url);
    (call.headers, call.body) = (headers, framed(params.opt_text("service").unwrap_or_default()).into());
    let heard = send(&call, found, tls.as_ref(), Speech::Http2).await.map_err(|silence| silence.reading())?;
    let status = heard.status.as_u16();
    if status != 200 {
        let words = format!("it answers {status} to HTTP/2: no gRPC is spoken there, or a proxy stands before it");
        return Err(if matches!(status, 401 | 403 | 407 | 429) {
            Reading::unknown(words)
        } else {
            Reading::down(words)
        });
    }
    let mut trailers = heard.headers.clone();
    let read = Limited::new(heard.body, LONGEST).collect().await;
    let read = read.map_err(|_| Reading::down("it broke off in the middle of its answer"))?;
    trailers.extend(read.trailers().cloned().unwrap_or_default());
    Ok(judge(&trailers, &read.to_bytes()))
}

/// A `HealthCheckRequest` that names a service (field 1), in gRPC's frame: not compressed, its length in four bytes.
fn framed(service: &str) -> Vec<u8> {
    let mut message = Vec::new();
    if !service.is_empty() {
        message.push(0x0a);
        let mut length = service.len();
        while length > 0x7f {
            message.push(u8::try_from(length & 0x7f).unwrap_or_default() | 0x80);
            length >>= 7;
        }
        message.push(u8::try_from(length).unwrap_or_default());
        message.extend_from_slice(service.as_bytes());
    }
    let mut frame = vec![0];
    frame.extend_from_slice(&u32::try_from(message.len()).unwrap_or_default().to_be_bytes());
    frame.extend(message);
    frame
}

fn judge(trailers: &HeaderMap, body: &[u8]) -> Reading {
    let text = |name| trailers.get(HeaderName::from_static(name)).and_then(|value| value.to_str().ok());
    let said = text("grpc-message").map(|message| format!(" ({})", clean(message))).unwrap_or_default();
    match text("grpc-status") {
        Some("0") => serving(body),
        Some("5") => Reading::unknown(format!("the server knows no such service{said}: look at `service`")),
        Some("12") => Reading::unknown(format!("the server does not speak the health protocol{said}")),
        Some("7" | "8" | "16") => Reading::unknown(format!("Mayday is refused{said}")),
        Some(code) => Reading::down(format!("gRPC status {}{said}", clean(code))),
        None => Reading::down("it answers without a gRPC status"),
    }
}

/// A `HealthCheckResponse`: field 1 is `ServingStatus`, 0 where it is left out.
fn serving(body: &[u8]) -> Reading {
    let message = body.get(5..).unwrap_or_default();
    match message {
        [0x08, 1, ..] => Reading::healthy("SERVING"),
        [0x08, 2, ..] => Reading::down("NOT_SERVING"),
        [0x08, 3, ..] => Reading::unknown("SERVICE_UNKNOWN: look at `service`"),
        _ => Reading::unknown("the server says that it does not know (UNKNOWN)"),
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use hyper::body::{Bytes, Frame};
    use hyper::service::service_fn;
    use hyper_util::rt::{TokioExecutor, TokioIo};
    use serde_json::json;

    use super::*;
    use crate::domain::health::Status;

    #[test]
    fn what_a_server_says_is_judged_by_what_it_means() {
        let of = |status: &'static str, body: &[u8]| {
            judge(
                &HeaderMap::from_iter([(HeaderName::from_static("grpc-status"), HeaderValue::from_static(status))]),
                body,
            )
        };
        let frame = |serving: u8| [0, 0, 0, 0, 2, 8, serving];
        for (status, body, wanted) in [
            ("0", &frame(1)[..], Status::Healthy),
            ("0", &frame(2), Status::Down),
            ("0", &frame(3), Status::Unknown),
            ("0", &[0, 0, 0, 0, 0], Status::Unknown),
            ("0", &[], Status::Unknown),
            ("5", &[], Status::Unknown),
            ("7", &[], Status::Unknown),
            ("12", &[], Status::Unknown),
            ("14", &[], Status::Down),
        ] {
            assert_eq!(of(status, body).status, wanted, "{status} {body:?}");
        }
        assert_eq!(judge(&HeaderMap::new(), &frame(1)).status, Status::Down, "nothing is said without a status");
    }

    #[test]
    fn a_service_is_named_as_protobuf_does() {
        assert_eq!(framed(""), [0, 0, 0, 0, 0]);
        assert_eq!(framed("a.B"), [0, 0, 0, 0, 5, 0x0a, 3, b'a', b'.', b'B']);
        let long = framed(&"a".repeat(300));
        assert_eq!(long[..8], [0, 0, 0, 1, 0x2f, 0x0a, 0xac, 2]);
    }

    #[tokio::test]
    async fn a_server_is_asked_over_http_2_and_read_to_its_trailers() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let service = service_fn(async |request: http::Request<hyper::body::Incoming>| {
                    let asked = request.into_body().collect().await.unwrap().to_bytes();
                    let serving = if asked[..] == framed("orders.Orders")[..] { 1 } else { 2 };
                    let trailers =
                        HeaderMap::from_iter([(HeaderName::from_static("grpc-status"), HeaderValue::from_static("0"))]);
                    let data = Frame::data(Bytes::copy_from_slice(&[0, 0, 0, 0, 2, 8, serving]));
                    let frames = [Ok::<_, Infallible>(data), Ok(Frame::trailers(trailers))];
                    let body = http_body_util::StreamBody::new(futures::stream::iter(frames));
                    Ok::<_, Infallible>(http::Response::new(body))
                });
                let serving = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                tokio::spawn(serving.serve_connection(TokioIo::new(stream), service));
            }
        });
        let look = async |service: &str| {
            let given = json!({ "address": address.to_string(), "service": service, "tls": false });
            let spec = spec(given);
            Grpc.probe(&spec).await
        };
        let well = look("orders.Orders").await;
        assert_eq!((well.status, well.detail.as_str()), (Status::Healthy, "SERVING"));
        assert_eq!(look("orders.Others").await.status, Status::Down);
    }

    fn spec(given: serde_json::Value) -> ProbeSpec {
        use crate::domain::estate::Subject;
        use crate::domain::time::Span;
        ProbeSpec {
            id: "grpc".into(),
            kind: "grpc.health".into(),
            system: "grpc".into(),
            subject: Subject::Service("orders".into()),
            region: None,
            every: Span::secs(5),
            timeout: Span::secs(2),
            fall: 1,
            window: None,
            rise: 1,
            params: serde_json::from_value(given).unwrap(),
        }
    }
}
